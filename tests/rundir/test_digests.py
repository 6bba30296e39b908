"""What figures were drawn from is kept; at worst, a figure is drawn again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spectro_mpi.model.spectrogram import Legend, Provenance, Spectrogram, data_digest
from spectro_mpi.rundir.digests import DigestLog, load_digests
from spectro_mpi.rundir.store import digests_in, read_spectrogram
from spectro_mpi.settings.versions import NewerVersionError
from tests.earlier_layout import write_shard
from tests.model.spectrograms import random_counts

FILES = ("2000/01/1.h5#0123456789abcdef", "2000/01/2.h5#fedcba9876543210")
FIGURES = {"1": {"a": "x1", "b": "x2"}, "2": {"a": "x3", "c": "x4"}}


def logged(folder: Path) -> DigestLog:
    log = DigestLog(folder)
    log.record_data({"1": (FILES[0], {"ees": "d1"}), "2": (FILES[1], {"ees": "d2", "ies": "d3"})})
    log.record({}, FIGURES)
    return log


def test_what_was_recorded_is_read_and_is_small(tmp_path: Path) -> None:
    logged(tmp_path).close()
    known = load_digests(tmp_path)
    assert known.figures == FIGURES
    assert known.data_of("2", FILES[1]) == {"ees": "d2", "ies": "d3"}
    assert known.data_of("2", FILES[1][:-1] + "1") is None  # the item was reduced again
    path, size = tmp_path / "figures.digests", (tmp_path / "figures.digests").stat().st_size
    DigestLog(tmp_path).record(
        {}, {str(item): {name: "d" * 22 for name in "abcdefghij"} for item in range(1000, 1100)}
    )
    assert (path.stat().st_size - size) / 1000 < 36


def test_what_will_be_drawn_again_is_forgotten_on_disk(tmp_path: Path) -> None:
    log = logged(tmp_path)
    log.drop({"1": ["b", "never drawn"], "3": ["a"]})
    assert load_digests(tmp_path).figures["1"] == {"a": "x1"}
    log.drop_items(["2"])
    assert not load_digests(tmp_path).figures["2"]


@pytest.mark.parametrize("lost", range(1, 60, 7))
def test_a_torn_last_line_costs_what_it_says_and_nothing_else(tmp_path: Path, lost: int) -> None:
    logged(tmp_path).record({}, {"3": {"z": "y" * 60}})
    path = tmp_path / "figures.digests"
    path.write_bytes(path.read_bytes()[:-lost])
    assert {item: parts for item, parts in load_digests(tmp_path).figures.items()} == FIGURES
    again = DigestLog(tmp_path)  # as the next run does
    again.record({}, {"4": {"z": "y"}})
    assert load_digests(tmp_path).figures == {**FIGURES, "4": {"z": "y"}}


def test_the_file_is_rewritten_when_most_of_it_is_superseded(tmp_path: Path) -> None:
    log = logged(tmp_path)
    for number in range(5):
        log.record(
            {}, {item: dict.fromkeys(parts, f"n{number}") for item, parts in FIGURES.items()}
        )
    path = tmp_path / "figures.digests"
    long = path.stat().st_size
    log.close()
    assert path.stat().st_size < long / 2
    assert load_digests(tmp_path) == log.known
    assert log.known.figures["1"] == {"a": "n4", "b": "n4"}


def test_digests_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    logged(tmp_path).close()
    path = tmp_path / "figures.digests"
    lines = path.read_text().splitlines()
    newer = json.dumps(json.loads(lines[0]) | {"schema_version": 99})
    path.write_text("\n".join([newer, *lines[1:]]) + "\n")
    with pytest.raises(NewerVersionError, match=r"figures\.digests"):
        load_digests(tmp_path)


def sample() -> Spectrogram:
    return replace(
        random_counts(1),
        legend=Legend(title="Title", is_whole=True),
        notes=("a note",),
        provenance=Provenance("ab", "cd", software="numpy 1"),
    )


def test_the_store_gives_back_data_of_the_same_digest(tmp_path: Path) -> None:
    written = sample()
    shard = tmp_path / "shard.h5"
    write_shard(shard, {"1": [written]})
    assert digests_in(shard, ["1"]) == {"1": {written.instrument: data_digest(written)}}
    assert data_digest(read_spectrogram(shard, "1", written.instrument)) == data_digest(written)


def test_a_digest_differs_with_all_that_a_figure_can_show_and_with_nothing_else() -> None:
    first = sample()
    values = first.values.copy()
    values.flat[0] += 1
    changes = [
        {"values": values},
        {"time": first.time + 1},
        {"energy": first.energy * 2},
        {"legend": Legend(title="Other", is_whole=True)},
        {"notes": ()},
        {"source": "other.cdf"},
        {"provenance": replace(first.provenance, sha256="ef")},
        {"quality": np.ones(len(first.time), np.uint8)},
    ]
    digests = {data_digest(replace(first, **change)) for change in changes}
    assert len(digests | {data_digest(first)}) == len(changes) + 1
    updated = replace(first, provenance=replace(first.provenance, software="numpy 2"))
    assert data_digest(updated) == data_digest(first)
