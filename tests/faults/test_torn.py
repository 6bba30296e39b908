"""Files of a run that are damaged, lost or not in the journal: found, set aside, recreated."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from spectro_mpi.rundir.layout import data_path
from tests.conftest import spectro_mpi_here
from tests.faults.runs import Bench


@pytest.fixture
def copy(bench: Bench, request: pytest.FixtureRequest) -> Path:
    """A finished run to damage."""
    run_dir = bench.run_dir(re.sub(r"\W+", "-", request.node.name).strip("-"))
    shutil.copytree(bench.whole, run_dir)
    return run_dir


def progress(run_dir: Path) -> dict[str, dict[str, str]]:
    content: dict[str, dict[str, str]] = json.loads((run_dir / "progress.json").read_text())
    return content


def data_of(run_dir: Path, item: str = "13312") -> Path:
    return data_files(run_dir)[item]


def data_files(run_dir: Path) -> dict[str, Path]:
    return {item: data_path(run_dir, name) for item, name in names_in(progress(run_dir)).items()}


def names_in(state: Mapping[str, Any]) -> dict[str, str]:
    names: dict[str, str] = state["data_files"]["reduce"]
    return names


def figure_of(run_dir: Path, item: str = "13312") -> Path:
    return sorted((run_dir / "plots").rglob(f"{item}_*.png"))[0]


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def blank(path: Path) -> None:
    """What some disks leave of a file after a power failure: its length, of zeros."""
    path.write_bytes(bytes(path.stat().st_size))


def replace(path: Path, content: str) -> None:
    path.write_text(content)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "progress-truncated": lambda run: truncate(run / "progress.json"),
    "progress-blank": lambda run: blank(run / "progress.json"),
    "progress-other": lambda run: replace(run / "progress.json", '{"schema_version": 1}'),
    "progress-missing": lambda run: (run / "progress.json").unlink(),
    "extrema-truncated": lambda run: truncate(run / "extrema.json"),
    "extrema-missing": lambda run: (run / "extrema.json").unlink(),
    "extrema-empty": lambda run: replace(run / "extrema.json", "{}"),
    "data-truncated": lambda run: truncate(data_of(run, "13312")),
    "data-blank": lambda run: blank(data_of(run, "13313")),
    "data-missing": lambda run: data_of(run, "13321").unlink(),
    "links-truncated": lambda run: truncate(run / "spectrograms.h5"),
    "links-missing": lambda run: (run / "spectrograms.h5").unlink(),
}


TOGETHER = tuple(damage for damage in DAMAGES if damage.startswith("data"))
"""Damages of three files, which know nothing of each other: one run repairs them all."""


@pytest.mark.parametrize(
    "damages",
    [TOGETHER, *((damage,) for damage in DAMAGES if damage not in TOGETHER)],
    ids=" ".join,
)
def test_a_torn_or_lost_file_is_told_by_verify_and_made_again_by_the_next_run(
    bench: Bench, copy: Path, damages: tuple[str, ...]
) -> None:
    for damage in damages:
        DAMAGES[damage](copy)
    checked = spectro_mpi_here("verify", copy)
    assert checked.code == 1
    lines = checked.out.replace("spectrograms", "links").splitlines()
    for damage in damages:
        assert any(damage.partition("-")[0] in line for line in lines)
    if damages is TOGETHER:
        for item in ("13312", "13313", "13321"):
            assert any(line.startswith(f"{data_of(copy, item)}: ") for line in lines)
    assert "Traceback" not in checked.err
    assert "Traceback" not in spectro_mpi_here("status", copy).err
    done = bench.run(copy.name)
    assert done.code == 3, done.err
    bench.same_as_whole(copy.name)
    assert progress(copy)["completed"] == progress(bench.whole)["completed"]
    assert progress(copy)["errors"] == progress(bench.whole)["errors"]
    assert spectro_mpi_here("verify", copy).code == 0
    aside = [
        damage
        for damage in damages
        if damage.endswith(("truncated", "blank")) and not damage.startswith("links")
    ]
    if aside:
        assert len(list(copy.rglob("*.damaged"))) == len(aside)
        assert done.out.count(".damaged") >= len(aside)
        assert (copy / "logs" / "rank-0000.log").read_text().count(".damaged") >= len(aside)


def test_the_items_of_a_lost_progress_are_taken_from_the_store(bench: Bench, copy: Path) -> None:
    (copy / "progress.json").unlink()
    dates = {path: path.stat().st_mtime_ns for path in (copy / "data").rglob("*.h5")}
    done = bench.run(copy.name)
    assert "adopted" in done.out
    bench.same_as_whole(copy.name)
    # The whole items stay where they are; only those that had failed in part are reduced again.
    whole = set(progress(copy)["completed"]["reduce"])
    kept = {
        item
        for item, path in data_files(copy).items()
        if dates.get(path) == path.stat().st_mtime_ns
    }
    assert whole <= kept


def test_a_journal_damaged_in_the_middle_costs_no_more_than_its_lines(
    bench: Bench, copy: Path
) -> None:
    state = progress(copy)
    lines = [
        {"note": {"items_total": 12}},
        *(
            {"phase": "reduce", "items": [item], "failures": {}, "data_files": {item: name}}
            for item, name in names_in(state).items()
            if item in state["completed"]["reduce"]
        ),
    ]
    words = [json.dumps(line).encode() for line in lines]
    words[2] = b'{"phase": "redu\x00\x00\x00'
    (copy / "progress.json").unlink()
    (copy / "progress.journal").write_bytes(b"\n".join(words) + b"\n")
    assert "line 3 of" in spectro_mpi_here("verify", copy).out
    assert bench.run(copy.name).code == 3
    bench.same_as_whole(copy.name)
    assert (copy / "progress.journal.damaged").exists()
    assert spectro_mpi_here("verify", copy).code == 0


def test_data_that_cannot_be_read_while_figures_are_drawn_is_reduced_again(
    bench: Bench, copy: Path
) -> None:
    import h5py

    path = data_of(copy)
    before = path.stat()
    with h5py.File(path, "r+") as file:
        del file["ees/time"]  # opens as if nothing were the matter
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a disk does it
    state = progress(copy)
    state["completed"]["plot"].remove("13312")  # type: ignore[attr-defined]
    (copy / "progress.json").write_text(json.dumps(state))
    for figure in (copy / "plots").rglob("13312_*.png"):
        figure.unlink()
    assert f"{path}: is damaged, or has been changed" in spectro_mpi_here("verify", copy).out
    assert bench.run(copy.name).code == 3
    bench.same_as_whole(copy.name)
    assert spectro_mpi_here("verify", copy).code == 0
    dates = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    bench.run(copy.name)
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == dates


def test_verify_finds_a_figure_that_is_not_right_and_repair_has_it_drawn_again(
    bench: Bench, copy: Path
) -> None:
    missing, cut, flipped, other, silent = (
        figure_of(copy, item) for item in ("13312", "13313", "13321", "13322", "13323")
    )
    missing.unlink()
    truncate(cut)
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1
    flipped.write_bytes(content)
    shutil.copy(figure_of(bench.whole, "13312"), other)
    silent.write_bytes(silent.read_bytes().replace(b"tEXtspectro-mpi", b"tEXtspectro-mpo"))
    checked = spectro_mpi_here("verify", copy)
    assert checked.code == 1
    *lines, _ = checked.out.splitlines()
    bad = [missing, cut, flipped, other, silent]
    assert [line.partition(": ")[0] for line in lines] == [str(path) for path in bad]
    assert spectro_mpi_here("verify", copy, "--repair").code == 1
    assert not {path.parent.name for path in bad} & set(progress(copy)["completed"]["plot"])
    assert bench.run(copy.name).code == 3
    bench.same_as_whole(copy.name)
    assert spectro_mpi_here("verify", copy).code == 0


def test_verify_finds_what_was_left_half_written_and_repair_removes_it(copy: Path) -> None:
    left = [copy / "data/2000/01/13399.h5.0123abcd.part", figure_of(copy).with_suffix(".png.part")]
    for path in left:
        path.touch()
    checked = spectro_mpi_here("verify", copy)
    assert checked.code == 1
    assert all(f"{path}: is half-written" in checked.out for path in left)
    spectro_mpi_here("verify", copy, "--repair")
    assert spectro_mpi_here("verify", copy).code == 0


def test_repair_of_data_sets_it_aside_and_the_next_run_makes_its_item_again(
    bench: Bench, copy: Path
) -> None:
    path = data_of(copy)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1  # in the values: to HDF5 it is as good as any other
    path.write_bytes(content)
    assert spectro_mpi_here("verify", copy, "--repair").code == 1
    assert path.with_name(path.name + ".damaged").exists()
    assert "13312" not in data_files(copy)
    assert bench.run(copy.name).code == 3
    bench.same_as_whole(copy.name)
    assert spectro_mpi_here("verify", copy).code == 0


def test_data_that_was_finished_but_not_noted_is_taken_in_or_removed(
    bench: Bench, copy: Path
) -> None:
    # As a run leaves it that is killed between the rename of the files and the journal's line.
    state = progress(copy)
    name = names_in(state)["13312"]
    for item in ("13312", "13313"):
        del names_in(state)[item]
        state["errors"].pop(item, None)
        for listed in state["completed"].values():
            if item in listed:
                listed.remove(item)  # type: ignore[attr-defined]
    (copy / "progress.json").write_text(json.dumps(state))
    assert "is not recorded in progress.json" in spectro_mpi_here("verify", copy).out
    done = bench.run(copy.name)
    assert "complete but not in the journal" in done.out
    assert names_in(progress(copy))["13312"] == name
    bench.same_as_whole(copy.name)
    # And a file of an item whose data is elsewhere, since it is of another month today.
    other = copy / "data/1999/12/13312.h5"
    other.parent.mkdir(parents=True)
    shutil.copy(data_path(copy, name), other)
    assert "is not recorded in progress.json" in spectro_mpi_here("verify", copy).out
    bench.run(copy.name)
    assert not other.exists()
    assert spectro_mpi_here("verify", copy).code == 0
