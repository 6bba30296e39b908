"""What data was made from is known without opening it, and looked up where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectro_mpi.rundir.sources import Source, SourceLog, read_sources

ONE, OTHER = "2000/01/1.h5#0123456789abcdef", "2000/01/1.h5#fedcba9876543210"
MADE_FROM = {"ees": Source("a.cdf", 1, "ab"), "ies": Source("b.cdf", 2, "")}


def test_the_last_line_of_the_data_that_is_there_counts(tmp_path: Path) -> None:
    log = SourceLog(tmp_path)
    log.record({"1": (ONE, {"ees": Source("old.cdf", 1, "")}), "2": (ONE, MADE_FROM)})
    log.record({"1": (OTHER, MADE_FROM)})
    log.close()
    assert read_sources(tmp_path, {"1": OTHER}) == {"1": MADE_FROM}
    assert read_sources(tmp_path, {"1": ONE}) == {"1": {"ees": Source("old.cdf", 1, "")}}
    assert read_sources(tmp_path, {"1": "shard-00000.h5", "3": ONE}) == {}


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_torn_line_costs_only_itself(tmp_path: Path, cut: int) -> None:
    log = SourceLog(tmp_path)
    log.record({"1": (ONE, MADE_FROM)})
    log.record({"2": (ONE, MADE_FROM)})
    log.close()
    path = tmp_path / "sources.lines"
    path.write_bytes(path.read_bytes()[:-cut])
    again = SourceLog(tmp_path)
    again.record({"3": (ONE, MADE_FROM)})
    again.close()
    known = read_sources(tmp_path, dict.fromkeys("123", ONE))
    assert known.keys() - {"2"} == {"1", "3"}


def test_what_is_no_such_line_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "sources.lines"
    path.write_bytes(
        b'5\n{"sources": {"1": 3}}\nx\n\xff\n{"sources": {"1": ["a", {"ees": [1]}]}}\n'
    )
    assert read_sources(tmp_path, {"1": "a"}) == {}
    assert read_sources(tmp_path / "nowhere", {"1": "a"}) == {}
