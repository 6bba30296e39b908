"""What data was made from is known without opening it, and looked up where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectro_mpi.model.coverage import Coverage, Track
from spectro_mpi.rundir.sources import Source, SourceLog, read_coverage, read_sources

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


def test_when_and_where_data_were_measured_is_kept_with_them(tmp_path: Path) -> None:
    covered = Coverage(1.5, 9.25, (Track(10, -72, -70), Track(None, 60, 61), Track(3, None, None)))
    log = SourceLog(tmp_path)
    log.record({"1": (ONE, MADE_FROM)})  # as earlier versions do
    log.record({"2": (ONE, MADE_FROM)}, {"2": (ONE, covered)})
    log.record({"3": (ONE, MADE_FROM)}, {"3": (ONE, covered)})
    log.close()
    known = read_coverage(tmp_path, {"1": ONE, "2": ONE, "3": OTHER})
    assert known == {"2": covered}
    assert read_sources(tmp_path, {"1": ONE, "2": ONE}).keys() == {"1", "2"}


@pytest.mark.parametrize("damage", ["[]", '{"1": ["a", 0, 1]}', '{"1": ["a", 0, 1, [[99, 0, 1]]]}'])
def test_a_coverage_that_is_none_is_ignored(tmp_path: Path, damage: str) -> None:
    (tmp_path / "sources.lines").write_text(f'{{"coverage": {damage}}}\n')
    assert read_coverage(tmp_path, {"1": "a"}) == {}
