"""Files of a run that are damaged, lost or not in the journal: found, set aside, recreated."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

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


def shard_of(run_dir: Path, item: str = "13312") -> Path:
    return run_dir / "data" / progress(run_dir)["shards"][item]


def shards_of(run_dir: Path) -> list[Path]:
    return [run_dir / "data" / name for name in sorted(set(progress(run_dir)["shards"].values()))]


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
    "shard-truncated": lambda run: truncate(shards_of(run)[0]),
    "shard-blank": lambda run: blank(shards_of(run)[1]),
    "shard-missing": lambda run: shards_of(run)[2].unlink(),
    "links-truncated": lambda run: truncate(run / "spectrograms.h5"),
    "links-missing": lambda run: (run / "spectrograms.h5").unlink(),
}


TOGETHER = tuple(damage for damage in DAMAGES if damage.startswith("shard"))
"""Damages of three shards, which know nothing of each other: one run repairs them all."""


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
        for shard in shards_of(copy)[: len(damages)]:
            assert any(line.startswith(f"{shard}: ") for line in lines)
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
    shards = sorted((copy / "data").iterdir())
    done = bench.run(copy.name)
    assert "adopted" in done.out
    bench.same_as_whole(copy.name)
    # The whole items stay where they are; only those that had failed in part are reduced again.
    whole = set(progress(copy)["completed"]["reduce"])
    kept = {
        item for item, shard in progress(copy)["shards"].items() if copy / "data" / shard in shards
    }
    assert whole <= kept


def test_a_journal_damaged_in_the_middle_costs_no_more_than_its_lines(
    bench: Bench, copy: Path
) -> None:
    state = progress(copy)
    lines = [
        {"note": {"items_total": 12}},
        *(
            {"phase": "reduce", "items": [item], "failures": {}, "shard": shard, "held": [item]}
            for item, shard in state["shards"].items()
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


def test_what_cannot_be_read_of_a_shard_while_figures_are_drawn_is_reduced_again(
    bench: Bench, copy: Path
) -> None:
    import h5py

    shard = shard_of(copy)
    with h5py.File(shard, "r+") as file:
        del file["13312/ees/time"]  # opens as if nothing were the matter
    state = progress(copy)
    state["completed"]["plot"].remove("13312")  # type: ignore[attr-defined]
    (copy / "progress.json").write_text(json.dumps(state))
    for path in (copy / "plots").rglob("13312_*.png"):
        path.unlink()
    assert "cannot be read" in spectro_mpi_here("verify", copy).out
    assert bench.run(copy.name).code == 3
    bench.same_as_whole(copy.name)
    assert spectro_mpi_here("verify", copy).code == 0
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    bench.run(copy.name)
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before


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
    left = [copy / "data/shard-00099.h5.part", figure_of(copy).with_suffix(".png.part")]
    for path in left:
        path.touch()
    checked = spectro_mpi_here("verify", copy)
    assert checked.code == 1
    assert all(f"{path}: is half-written" in checked.out for path in left)
    spectro_mpi_here("verify", copy, "--repair")
    assert spectro_mpi_here("verify", copy).code == 0


def test_repair_of_a_shard_sets_it_aside_and_the_next_run_makes_its_items_again(
    bench: Bench, copy: Path
) -> None:
    shard = shard_of(copy)
    content = bytearray(shard.read_bytes())
    content[2000:6000] = bytes(4000)  # opens, but what is in it is not all there
    shard.write_bytes(content)
    assert spectro_mpi_here("verify", copy, "--repair").code == 1
    assert shard.with_name(shard.name + ".damaged").exists()
    assert "13312" not in progress(copy)["shards"]
    assert bench.run(copy.name).code == 3
    bench.same_as_whole(copy.name)
    assert spectro_mpi_here("verify", copy).code == 0


def test_a_shard_that_was_finished_but_not_noted_is_taken_in_or_removed(
    bench: Bench, copy: Path
) -> None:
    # As a run leaves it that is killed between the shard's rename and the journal's line.
    state = progress(copy)
    shard = state["shards"]["13312"]
    held = [item for item, name in state["shards"].items() if name == shard]
    for item in held:
        del state["shards"][item]
        state["errors"].pop(item, None)
        for listed in state["completed"].values():
            if item in listed:
                listed.remove(item)  # type: ignore[attr-defined]
    (copy / "progress.json").write_text(json.dumps(state))
    done = bench.run(copy.name)
    assert f"{shard}: complete but not in the journal" in done.out
    assert progress(copy)["shards"]["13312"] == shard
    bench.same_as_whole(copy.name)
    # And a shard whose items are all in other shards.
    other = copy / "data/shard-00098.h5"
    shutil.copy(copy / "data" / shard, other)
    assert "is not recorded in progress.json" in spectro_mpi_here("verify", copy).out
    bench.run(copy.name)
    assert not other.exists()
    assert spectro_mpi_here("verify", copy).code == 0
