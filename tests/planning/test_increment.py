"""Adding items reads back nothing, and the extrema are those of a fresh run, byte for byte."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import pytest

from tests.conftest import Finished, spectro_mpi, spectro_mpi_here

_WORK = re.compile(r"item (\w+): reduce (computed|read back) in")
NEW = {"13312", "13313"}


def reduce(settings: Path, run_id: str, *more: str) -> Finished:
    """Run the reduction in one process, some of whose items are damaged."""
    here = ("-s", "run.isolation=none", "-s", "data.chunk_records=100000", "-s", f"run_id={run_id}")
    return spectro_mpi("run", settings, "--no-progress", "--only", "reduce", *here, *more)


def work(run_dir: Path) -> list[tuple[str, str]]:
    """The items that were reduced or restored, in all executions so far."""
    return _WORK.findall((run_dir / "logs" / "rank-0000.log").read_text())


@pytest.mark.slow
def test_items_are_added_without_reading_back_the_others(settings: Path) -> None:
    assert reduce(settings, "fresh").code == 3
    fresh = (settings.parent / "runs" / "fresh" / "extrema.json").read_bytes()
    run_dir = settings.parent / "runs" / "grown"
    extrema, tallies = run_dir / "extrema.json", run_dir / "tallies.h5"
    assert reduce(settings, "grown", "-s", f"select.skip={sorted(NEW)}").code == 3
    assert extrema.read_bytes() != fresh
    before = work(run_dir)
    assert reduce(settings, "grown").code == 3
    assert {*work(run_dir)[len(before) :]} == {(item, "computed") for item in NEW}
    assert extrema.read_bytes() == fresh

    # The limits are made again of what is kept; the store is not needed for it.
    before = work(run_dir)
    extrema.unlink()
    assert reduce(settings, "grown").code == 3
    assert work(run_dir) == before
    assert extrema.read_bytes() == fresh

    # What was tried again may have given other data: its group is restored, and only that.
    assert reduce(settings, "grown", "--retry").code == 3
    retried = work(run_dir)[len(before) :]
    assert {how for _, how in retried} == {"computed", "read back"}
    with h5py.File(tallies) as file:
        assert 1 < len(file["reduce"]) <= 3
    assert extrema.read_bytes() == fresh

    # A damaged file is noticed, said, and replaced.
    tallies.write_bytes(tallies.read_bytes()[:-5000])
    assert "tallies.h5: is damaged" in spectro_mpi_here("verify", run_dir).out
    extrema.unlink()
    before = work(run_dir)
    done = reduce(settings, "grown")
    assert "tallies.h5: is damaged" in done.out
    assert (run_dir / "tallies.h5.damaged").exists()
    assert {how for _, how in work(run_dir)[len(before) :]} == {"read back"}
    assert extrema.read_bytes() == fresh
    assert "tallies.h5" not in spectro_mpi_here("verify", run_dir).out

    # One of a newer version is left alone, and so is the whole run.
    with h5py.File(tallies, "a") as file:
        file.attrs["schema_version"] = 99
    content = tallies.read_bytes()
    refused = reduce(settings, "grown")
    assert refused.code == 2
    assert "tallies.h5: has schema_version 99" in refused.err
    assert tallies.read_bytes() == content
    assert reduce(settings, "grown", "--fresh").code == 2
