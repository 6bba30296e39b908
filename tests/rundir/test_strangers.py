"""A run directory from somebody else, or a damaged one: files are parsed, and nothing leaves it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest

from spectro_mpi.errors import UserError
from spectro_mpi.operations.status import as_json, as_text, read_status
from spectro_mpi.rundir.claim import open_for_writing
from spectro_mpi.rundir.digests import load_digests
from spectro_mpi.rundir.journal import load_progress
from spectro_mpi.rundir.layout import (
    DIGESTS,
    EXTREMA,
    INVENTORY,
    JOB_RECORD,
    JOURNAL,
    LEFT_OUT,
    LINKS,
    LIVE,
    LOCK,
    PROGRESS,
    RESOURCES,
    data_path,
)
from spectro_mpi.rundir.names import is_data_file, is_item_id, is_job_id, is_phase_name
from spectro_mpi.rundir.reader import open_run
from spectro_mpi.rundir.repair import repair
from spectro_mpi.rundir.store import problem_of_shard, read_item
from spectro_mpi.settings.loading import load_frozen
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.untrusted import UntrustedCalls
from tests.conftest import spectro_mpi_here
from tests.rundir.test_progress import fill

NESTED = "[" * 100_000 + "]" * 100_000
WRONG: tuple[Any, ...] = (None, -1, 10**40, 1.5, "../../x", [[1]], {"a": [1]})


@pytest.fixture
def run_dir(sampled: Path, tmp_path: Path) -> Path:
    """A copy of a run directory, for the test to spoil."""
    shutil.copytree(sampled, tmp_path / "fast")
    return tmp_path / "fast"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A run directory with settings and progress only."""
    config = Config(output=str(tmp_path), run_id="small")
    config.run_dir.mkdir()
    open_for_writing(config, fresh=False)
    fill(config.run_dir).close()
    return config.run_dir


def looks(run_dir: Path) -> None:
    """What looks at a run gives an answer or a sentence, and no other exception."""
    try:
        status = read_status(run_dir)
    except UserError as error:
        assert str(run_dir) in str(error)
    else:
        as_text(status, workers=True)
        as_json(status)


def places(value: Any) -> list[Callable[[Any], None]]:
    """Functions that each put something else in a place of a JSON value."""
    found: list[Callable[[Any], None]] = []
    pairs = value.items() if isinstance(value, dict) else enumerate(value[:2])
    for key, inner in list(pairs)[:12]:
        found.append(partial(value.__setitem__, key))
        if isinstance(inner, dict | list):
            found += places(inner)
    return found


@pytest.mark.parametrize("name", [PROGRESS, JOURNAL, LIVE, LOCK, JOB_RECORD, EXTREMA, DIGESTS])
def test_wrong_values_in_files_of_the_state_are_told_in_a_sentence(small: Path, name: str) -> None:
    run_dir, path = small, small / name
    path.parent.mkdir(exist_ok=True)
    failure = {"instrument": "ees", "phase": "reduce", "reason": "timeout", "message": "slow"}
    made: dict[str, dict[str, Any]] = {
        JOURNAL: {
            "phase": "plot",
            "items": ["7"],
            "failures": {"7": [failure]},
            "data_files": {"7": "2000/01/7.h5#0123456789abcdef"},
            "shard": "shard-00000.h5",
            "held": ["7"],
            "fingerprints": {"7": "a"},
        },
        LIVE: {"phase": "plot", "done": 1, "failed": 0, "total": 2, "seconds": 1.0, "workers": {}},
        LOCK: {"host": os.uname().nodename, "pid": os.getpid(), "started": "", "job": "7"},
        JOB_RECORD: {"assets": "1", "run": "2", "scheduler": "", "local": 7, "host": "h"},
        EXTREMA: {"ees_log_log_z_min": 1.0},
        DIGESTS: {"parts": ["a"]},
    }
    good = json.dumps(made[name]) if name in made else path.read_text()
    whole = json.loads(good)
    contents = [NESTED, "[1]", "3", '"x"', "null", '{"schema_version": 1e999}', good[:-9], "\0"]
    for number in range(len(places(whole))):
        for wrong in WRONG:
            spoilt = json.loads(good)
            places(spoilt)[number](wrong)
            contents.append(json.dumps(spoilt))
    for content in contents:
        path.write_text(content + "\n")
        looks(run_dir)
        if name == DIGESTS:
            load_digests(run_dir)
    path.unlink(missing_ok=True)
    os.mkfifo(path)  # nobody writes to it
    looks(run_dir)


@pytest.mark.parametrize("name", [INVENTORY, LEFT_OUT])
def test_commands_end_with_a_sentence_whatever_lists_of_files_hold(
    run_dir: Path, name: str
) -> None:
    path = run_dir / name
    path.parent.mkdir(exist_ok=True)
    for content in (NESTED, '{"left_out": [[1, 2]]}', '{"items": 7, "searched": "x"}'):
        path.write_text(content)
        done = spectro_mpi_here("report", run_dir, "--no-previews")
        assert done.code == 0, done.err


OUTSIDE = [
    "../../x.h5",
    "/etc/passwd",
    "shard-00000.h5/../x",
    "x.h5",
    "shard-1.h5",
    "",
    "2000/01/../../../../x.h5#0123456789abcdef",
    "../2000/01/x.h5#0123456789abcdef",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_nothing_outside_the_directory_is_renamed_or_read(run_dir: Path, name: str) -> None:
    outside = run_dir.parents[0] / "x.h5"
    outside.write_bytes(b"precious")
    table = json.loads((run_dir / PROGRESS).read_text())
    item = next(iter(table["data_files"]["reduce"]))
    table["data_files"]["reduce"][item] = name
    (run_dir / PROGRESS).write_text(json.dumps(table))
    done = spectro_mpi_here("verify", run_dir, "--repair")
    assert done.code == 1
    assert f"{PROGRESS}: is damaged" in done.out
    assert outside.read_bytes() == b"precious"
    assert sorted(path.name for path in run_dir.parent.iterdir()) == ["fast", "x.h5"]


@pytest.mark.parametrize("name", ["../../../x", ".", "..", "a/b", "", "a\0b", "9" * 5000])
def test_names_of_items_and_phases_that_would_lead_outside_are_damage(
    small: Path, name: str
) -> None:
    for key in ("reduce", name):
        table = json.loads((small / PROGRESS).read_text())
        table["completed"] = {key: [name], "plot": []}
        (small / PROGRESS).write_text(json.dumps(table))
        with pytest.raises(UserError, match="is damaged"):
            load_progress(small, "small")
        assert not is_item_id(name) or key != "reduce"


def test_what_the_program_writes_is_let_through() -> None:
    assert all(map(is_item_id, ("13312", "a.part", "Ωμέγα", "20000101_a+b")))
    stamp = "#0123456789abcdef"
    paths = ("2000/01/13312.h5", "undated/00/Ωμ #1.h5", "my-phase_2/1996/12/a.part.h5")
    assert all(map(is_data_file, ("shard-00000.h5", "shard-123456.h5")))
    assert all(is_data_file(path + stamp) for path in paths)
    assert all(map(is_phase_name, ("reduce", "plot", "my-phase_2", "_x")))
    assert all(map(is_job_id, ("", "4711", "4711_3", "12.server")))
    assert not any(map(is_job_id, ("--all", "-u", "1 2", "1\n", ";x")))


def _external_storage(group: Any, outside: Path) -> None:
    del group["mode"]
    group.create_dataset("mode", (4,), "u1", external=[(str(outside), 0, 4)])


def _virtual(group: Any, outside: Path) -> None:
    del group["mode"]
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource(str(outside), "x", (4,))
    group.create_virtual_dataset("mode", layout)


def _external_link(group: Any, outside: Path) -> None:
    item = group.parent
    del item[group.name.rpartition("/")[2]]
    item["ees"] = h5py.ExternalLink(str(outside), "/")


def _soft_link(group: Any, outside: Path) -> None:
    group["other"] = h5py.SoftLink("/")


@pytest.mark.parametrize("spoil", [_external_storage, _virtual, _external_link, _soft_link])
def test_values_and_links_in_other_files_are_refused(
    run_dir: Path, spoil: Callable[[Any, Path], None]
) -> None:
    outside = run_dir.parent / "outside.h5"
    with h5py.File(outside, "w") as file:
        file["x"] = [1, 2, 3, 4]
    run = open_run(run_dir)
    item = run.items[0]
    path = data_path(run_dir, run.progress.data_files[item])
    assert problem_of_shard(path, [item]) == ""
    with h5py.File(path, "r+") as file:
        spoil(next(iter(file.values())), outside)
    assert problem_of_shard(path, [item]).startswith("cannot be read (ValueError")
    with pytest.raises(ValueError, match=r"another file|is a link"):
        list(read_item(path, item))


def _huge(group: Any) -> None:
    del group["counts"]
    group.create_dataset("counts", (4, 1 << 31, 48), "f4", chunks=(1, 1024, 48))


def _texts(group: Any) -> None:
    shape = group["counts"].shape
    del group["counts"]
    group["counts"] = np.full(shape, "x", h5py.string_dtype())


def _few_channels(group: Any) -> None:
    energy = group["energy"][:, :-1]
    del group["energy"]
    group["energy"] = energy


def _nested_legend(group: Any) -> None:
    group.attrs["legend"] = "[" * 50_000


def _quantity_elsewhere(group: Any) -> None:
    group.attrs["quantity"] = "../ies/counts"


@pytest.mark.parametrize("name", [LINKS, RESOURCES, "data/2000/01/13312.h5"])
def test_a_pipe_in_place_of_an_hdf5_file_keeps_nothing_waiting(run_dir: Path, name: str) -> None:
    (run_dir / name).unlink()
    os.mkfifo(run_dir / name)
    for words in (("verify", run_dir), ("report", run_dir, "--no-previews")):
        done = spectro_mpi_here(*words)
        assert done.code in (0, 1), done.err
        assert "Traceback" not in done.err


@pytest.mark.parametrize("name", [PROGRESS, EXTREMA])
def test_a_directory_in_place_of_a_file_of_the_state_is_named(run_dir: Path, name: str) -> None:
    (run_dir / name).unlink(missing_ok=True)
    (run_dir / name).mkdir()
    done = spectro_mpi_here("verify", run_dir)
    assert done.code == 1
    assert f"{run_dir / name}: " in done.out + done.err


def test_settings_of_absurd_size_are_told(small: Path) -> None:
    os.truncate(small / "config.toml", 1 << 40)
    done = spectro_mpi_here("status", small)
    assert done.code == 2
    assert "is damaged: it has 1099511627776 bytes" in done.err


SPOILT = [_huge, _texts, _few_channels, _nested_legend, _quantity_elsewhere]


@pytest.mark.parametrize("spoil", SPOILT)
def test_draw_and_verify_tell_what_is_wrong_with_values(
    run_dir: Path, spoil: Callable[[Any], None]
) -> None:
    item = open_run(run_dir).items[0]
    path = data_path(run_dir, open_run(run_dir).progress.data_files[item])
    with h5py.File(path, "r+") as file:
        spoil(file["ees"])
    for words in (("draw", run_dir, item, "-o", run_dir.parent / "x.png"), ("verify", run_dir)):
        done = spectro_mpi_here(*words)
        assert done.code == (2 if words[0] == "draw" else 1)
        told = done.out + done.err
        what = "cannot be read (" if words[0] == "draw" else "is damaged, or has been changed"
        assert f"{path}: {what}" in told
        assert "Traceback" not in told


def test_draw_reads_no_table_of_events_elsewhere(run_dir: Path) -> None:
    outside = run_dir.parent / "secret"
    outside.write_text("secret\n")
    settings = (run_dir / "config.toml").read_text()
    spoilt = re.sub(r"(?m)^events = .*", f'events = "{outside}"', settings)
    assert spoilt != settings
    (run_dir / "config.toml").write_text(spoilt)
    item = open_run(run_dir).items[0]
    words = ("draw", run_dir, item, "-o", run_dir.parent / "x.png")
    assert spectro_mpi_here(*words).code == 0
    named = spectro_mpi_here(*words, "-s", f"plot.events={outside}")
    assert named.code == 2
    assert "has no column" in named.err
    (run_dir / "events.csv").unlink(missing_ok=True)
    os.mkfifo(run_dir / "events.csv")
    assert spectro_mpi_here(*words).code == 0


def test_text_in_a_store_acts_neither_on_a_terminal_nor_in_a_figure(run_dir: Path) -> None:
    item = open_run(run_dir).items[0]
    data = data_path(run_dir, open_run(run_dir).progress.data_files[item])
    text = "x\x1b]0;pwned\x07\n\x85<b>\u202e"
    with h5py.File(data, "r+") as file:
        group = file["ees"]
        legend = json.loads(group.attrs["legend"])
        keys = ("title", "name", "long_name", "z_label", "y_label", "axis_units", "units")
        group.attrs["legend"] = json.dumps(legend | dict.fromkeys(keys, text))
        group.attrs["notes"] = text
    for suffix in ("svg", "pdf"):
        path = run_dir.parent / f"x.{suffix}"
        done = spectro_mpi_here("draw", run_dir, item, "-o", path)
        assert (done.code, len(done.out.splitlines())) == (0, 1), done.err
        assert r"\x1b]0;pwned\x07\n\x85<b>\u202e" in done.out
    root = ElementTree.parse(run_dir.parent / "x.svg")
    assert not any("\u202e" in (one.text or "") for one in root.iter() if "title" in one.tag)


def test_links_of_the_file_system_that_lead_outside_are_refused(run_dir: Path) -> None:
    run = open_run(run_dir)
    one, *_, other = (data_path(run_dir, run.progress.data_files[item]) for item in run.items)
    one.rename(run_dir.parent / "elsewhere.h5")
    one.symlink_to(run_dir.parent / "elsewhere.h5")
    assert "leads out of its folder" in problem_of_shard(one)
    month = other.parent
    month.rename(run_dir.parent / "month")
    month.symlink_to(run_dir.parent / "month")
    assert "leads out of its folder" in problem_of_shard(other)
    with pytest.raises(ValueError, match="leads out of its folder"):
        run.spectrogram(run.items[-1], "ees")
    (run_dir / "plots").rename(run_dir.parent / "plots")
    (run_dir / "plots").symlink_to(run_dir.parent / "plots")
    for command in (("status",), ("verify", "--repair")):
        done = spectro_mpi_here(command[0], run_dir, *command[1:])
        assert done.code == 2
        assert "plots: is a link that leads out of the run directory" in done.err
    assert any((run_dir.parent / "plots").rglob("*.png"))


def test_half_written_files_are_swept_wherever_a_run_writes_them(
    run_dir: Path,
) -> None:
    folders = [".", "data", "data/2000/01", "data/my/2000/01", "jobs", "report", "assets"]
    folders += ["assets/frames", "assets/my/deep"]
    left = [run_dir / folder / "x.part" for folder in folders]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    folder = run_dir / "assets" / "item.part"
    folder.mkdir()
    with UntrustedCalls() as untrusted:
        repair(load_frozen(run_dir / "config.toml"), (), untrusted)
    assert not [path for path in left if path.exists()]
    assert folder.is_dir()
