"""Names of files are bytes: what cannot be processed under its name costs that item only."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectro_mpi.inert import is_inert
from spectro_mpi.model.items import InputPath, Item
from spectro_mpi.planning.inventory import (
    load_inventory,
    load_left_out,
    save_inventory,
    save_left_out,
    take_inventory,
)
from spectro_mpi.planning.item_names import problem_of_name, room_for_names, with_problems
from spectro_mpi.rundir.reader import open_run
from spectro_mpi.settings.loading import load_config
from spectro_mpi.settings.schema import Config
from tests.conftest import NO_REPORT, spectro_mpi
from tests.istp_files import variables, write


def _settings(folder: Path, pattern: str) -> Path:
    path = folder / "spectro-mpi.toml"
    path.write_text(
        f'run_id = "names"\ninput = "in"\n[data]\npreset = "istp"\n[plot]\ndpi = 40\n{NO_REPORT}'
        f'[[instrument]]\nname = "flux"\nfile = "{pattern}"\nvalue = "Flux"\n'
    )
    return path


def _put(folder: Path, *names: bytes) -> None:
    """Copies of one good file, below `folder`/in."""
    good = write(folder / "good.cdf", variables())
    for name in names:
        path = os.path.join(os.fsencode(folder), b"in", name)  # noqa: PTH118 - bytes
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        shutil.copy(os.fsencode(good), path)


def test_items_whose_names_cannot_be_used_are_recorded_and_the_others_done(tmp_path: Path) -> None:
    _put(
        tmp_path,
        b"t_plain_v1.cdf",
        b"t_half.part_v1.cdf",
        b"t_" + b"q" * 230 + b"_v1.cdf",
        b"t_TWIN_v1.cdf",
        b"t_twin_v1.cdf",
        b"\xfcber\x07/t_deep_v1.cdf",
    )
    path = _settings(tmp_path, "t_{item}_v{version}.cdf")
    done = spectro_mpi("run", path, "--no-progress")
    assert done.code == 3, done.err
    run = open_run(tmp_path / "runs" / "names")
    assert set(run.completed("plot")) == {"plain", "half.part", "TWIN", "deep"}
    told = {item: failure.message for item, (failure,) in run.errors.items()}
    assert "differs from that of item TWIN only in letter case" in told.pop("twin")
    ((long, why),) = told.items()
    assert long.startswith("q" * 60 + "~")
    assert "its name has 230 bytes" in why
    again = spectro_mpi("run", path, "--no-progress", "-s", "report.at_end=true")
    assert again.code == 3
    assert (run.path / "report" / "index.html").exists()
    for options in ((), ("--inputs",)):
        checked = spectro_mpi("verify", run.path, *options)
        assert checked.code == 0, checked.out


def test_a_file_name_that_is_no_text_costs_its_item(tmp_path: Path) -> None:
    _put(tmp_path, b"a_1_20170101.cdf", b"a_\xe4\xf6_20170102.cdf", b"a_\x1b[5m_20170103.cdf")
    path = _settings(tmp_path, "a_*_{date}.cdf")
    done = spectro_mpi("run", path, "--no-progress", "-s", "report.at_end=true", ranks=2)
    assert done.code == 3, done.err
    run = open_run(tmp_path / "runs" / "names")
    assert run.completed("plot") == ["20170101"]
    assert r"the file name a_\xe4\xf6_20170102.cdf has" in run.errors["20170102"][0].message
    assert r"the file name a_\x1b[5m_20170103.cdf has" in run.errors["20170103"][0].message
    assert (run.path / "report" / "index.html").exists()


def test_the_longest_name_that_is_let_through_can_be_written(tmp_path: Path) -> None:
    path = _settings(tmp_path, "t_{item}.cdf")
    _put(tmp_path, b"t_x.cdf")
    events = tmp_path / "events.csv"
    room = room_for_names(Config())
    for _ in range(2):  # the tails of this run's figures are other ones
        name = b"y" * room
        _put(tmp_path, b"t_" + name + b".cdf")
        events.write_text(f"item,instrument,start,end,label\n{name.decode()},flux,1,3,{60 * 'z'}\n")
        done = spectro_mpi("run", path, "--no-progress", "-s", f'plot.events="{events}"')
        failures = open_run(tmp_path / "runs" / "names").errors
        if not failures:
            break
        assert done.code == 3
        room = int(failures[next(iter(failures))][0].message.split("room for ")[1].split(";")[0])
        shutil.rmtree(tmp_path / "in")
    assert name.decode() in open_run(tmp_path / "runs" / "names").completed("plot")
    assert done.code == 0, done.out


@settings(deadline=None)
@given(st.lists(st.text(st.characters(), max_size=300), max_size=5, unique=True))
def test_whatever_the_names_are_all_items_have_names_that_can_be_written(names: list[str]) -> None:
    files = (InputPath("ees", "/in/x.cdf", 1, 1),)
    items = list(with_problems([Item(name, None, files) for name in names], Config()))
    assert len(items) == len(names)
    for item, name in zip(items, names, strict=True):
        assert is_inert(item.id)
        assert len(item.id.encode()) <= 255
        assert "/" not in item.id
        assert item.id not in ("", ".", "..")
        assert item.problem or item.id == name


@pytest.mark.parametrize("name", ["", ".", "..", ".x", "a/b", "a\0b", "a\nb", "\udce4", "é" * 128])
def test_names_that_cannot_be_used(name: str) -> None:
    assert problem_of_name(name, 240)


def test_names_with_letters_of_any_alphabet_can_be_used() -> None:
    for name in ("13312", "a.part", "Ωμέγα", "日本", "x" * 240):
        assert problem_of_name(name, 240) == ""


def test_an_inventory_with_any_names_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    _put(
        tmp_path, b"a_1_20170101.cdf", b"a_\xe4_20170102.cdf", b"\xfc/a_2_20170103.cdf", b"\xf6.cdf"
    )
    config = load_config(_settings(tmp_path, "a_*_{date}.cdf"))
    inventory = take_inventory(config)
    assert len(inventory.items) == 3
    assert len(inventory.unknown) == 1
    save_inventory(tmp_path / "inventory.json", inventory, config)
    assert load_inventory(tmp_path / "inventory.json", config) == inventory
    save_left_out(tmp_path / "left-out.json", inventory, config)
    assert load_left_out(tmp_path / "left-out.json") == [(r"\xf6.cdf", "unknown file name")]
