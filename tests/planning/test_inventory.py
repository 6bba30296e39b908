"""Items are found by name and size; nothing is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectro_mpi.errors import UserError
from spectro_mpi.model.items import item_order
from spectro_mpi.planning.inventory import take_inventory
from spectro_mpi.settings.schema import Config, SelectSettings

NAME = "fa_esa_l2_{}_20000101001737_{:05d}_v{:02d}.cdf"


def put(folder: Path, instrument: str, orbit: int, version: int = 1, size: int = 10) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME.format(instrument, orbit, version)
    path.write_bytes(b"x" * size)
    return path


def test_files_of_an_orbit_make_an_item_wherever_they_lie(tmp_path: Path) -> None:
    put(tmp_path / "2000/01", "ees", 13312, size=10)
    put(tmp_path / "l2/ies/13000", "ies", 13312, size=5)
    put(tmp_path, "eeb", 9999, size=7)
    items = take_inventory(Config(input=str(tmp_path))).items
    assert [item.id for item in items] == ["9999", "13312"]
    assert [file.instrument for file in items[1].files] == ["ees", "ies"]
    assert items[1].size == 15
    assert f"{items[1].start:%Y/%m}" == "2000/01"


def test_the_highest_version_wins(tmp_path: Path) -> None:
    put(tmp_path / "b", "ees", 1, version=3)
    best = put(tmp_path / "a", "ees", 1, version=11)
    put(tmp_path / "c", "ees", 1, version=11)
    inventory = take_inventory(Config(input=str(tmp_path)))
    assert inventory.items[0].files[0].path == str(best)
    assert inventory.superseded == 2


def test_other_names_are_reported_and_ephemeris_is_not(tmp_path: Path) -> None:
    put(tmp_path, "ees", 1)
    for name in ("fa_esa_l2_ees_latest.cdf", "fa_k0_orb_20000101_v01.cdf", "notes.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "fa_esa_l2_ees_20001301001737_00002_v01.cdf").write_text("month 13")
    inventory = take_inventory(Config(input=str(tmp_path)))
    assert sorted(Path(path).name for path in inventory.unknown) == [
        "fa_esa_l2_ees_20001301001737_00002_v01.cdf",
        "fa_esa_l2_ees_latest.cdf",
    ]


def test_selection_by_orbit_and_instrument(tmp_path: Path) -> None:
    for orbit in range(100, 110):
        put(tmp_path, "ees", orbit)
        put(tmp_path, "ies", orbit)
    select = SelectSettings(orbits="101-103, 107", skip=(102,), instruments=("ies",))
    items = take_inventory(Config(input=str(tmp_path), select=select)).items
    assert [item.id for item in items] == ["101", "103", "107"]
    assert {file.instrument for item in items for file in item.files} == {"ies"}


def test_empty_files_are_told(tmp_path: Path) -> None:
    empty = put(tmp_path, "ees", 1, size=0)
    assert take_inventory(Config(input=str(tmp_path))).empty_files == [str(empty)]


def test_links_are_followed_and_circles_are_not(tmp_path: Path) -> None:
    put(tmp_path / "archive", "ees", 1)
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "data").symlink_to(tmp_path / "archive")
    (tmp_path / "archive" / "circle").symlink_to(tmp_path / "input")
    (tmp_path / "archive" / "itself.cdf").symlink_to(tmp_path / "archive" / "itself.cdf")
    assert len(take_inventory(Config(input=str(tmp_path / "input"))).items) == 1


def test_missing_and_empty_input_are_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        take_inventory(Config(input=str(tmp_path / "none")))
    with pytest.raises(UserError, match="holds no FAST ESA level-2 file"):
        take_inventory(Config(input=str(tmp_path)))


def test_orbits_sort_by_number() -> None:
    assert sorted(["10000", "9999", "x"], key=item_order) == ["9999", "10000", "x"]
