"""Items are found by name and size; nothing is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectro_mpi.errors import UserError
from spectro_mpi.model.items import item_order
from spectro_mpi.planning.inventory import load_inventory, save_inventory, take_inventory
from spectro_mpi.settings.instrument_table import InstrumentTable
from spectro_mpi.settings.loading import load_config
from spectro_mpi.settings.schema import Config, DataSettings
from spectro_mpi.settings.selection import SelectSettings

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
    assert [(Path(path).parent.name, used) for path, used in inventory.superseded] == [
        ("b", str(best)),
        ("c", str(best)),
    ]
    # To be read, in this order, if the best cannot be.
    older = inventory.items[0].files[0].older
    assert [Path(file.path).parent.name for file in older] == ["c", "b"]


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


@pytest.mark.parametrize(
    ("start", "stop", "items"),
    [
        ("", "", ["1", "2", "3"]),
        ("2000-01-02", "", ["2", "3"]),
        ("2000-01-02T00:00:01Z", "2000-01-04", ["3"]),
        ("", "2000-01-02T01:00+01:00", ["1"]),
    ],
)
def test_selection_by_time(tmp_path: Path, start: str, stop: str, items: list[str]) -> None:
    for orbit in (1, 2, 3):
        name = f"fa_esa_l2_ees_2000010{orbit}000000_{orbit:05d}_v01.cdf"
        (tmp_path / name).write_bytes(b"x")
    select = SelectSettings(start=start, stop=stop)
    inventory = take_inventory(Config(input=str(tmp_path), select=select))
    assert [item.id for item in inventory.items] == items


def test_files_that_differ_in_more_than_the_version_are_parts_of_one_item(tmp_path: Path) -> None:
    for name in ("a_20000101_00_v1.cdf", "a_20000101_02_v1.cdf", "a_20000101_00_v2.cdf"):
        (tmp_path / name).write_bytes(b"x")
    table = InstrumentTable(name="a", file="a_{date}_*_v{version}.cdf", value="flux")
    config = Config(
        input=str(tmp_path),
        data=DataSettings(preset="istp"),
        instrument=(table,),
        select=SelectSettings(instruments=("a",)),
    )
    inventory = take_inventory(config)
    (item,) = inventory.items
    assert [Path(file.path).name for file in item.files] == [
        "a_20000101_00_v2.cdf",
        "a_20000101_02_v1.cdf",
    ]
    assert len(inventory.superseded) == 1
    saved = tmp_path / "inventory.json"
    save_inventory(saved, inventory, config)
    assert load_inventory(saved, config) == inventory


def test_names_without_a_date_cannot_be_selected_by_time(tmp_path: Path) -> None:
    (tmp_path / "a_1.cdf").write_bytes(b"x")
    config = Config(
        input=str(tmp_path),
        data=DataSettings(preset="istp"),
        instrument=(InstrumentTable(name="a", file="a_{orbit}.cdf", value="flux"),),
        select=SelectSettings(instruments=("a",), start="2000-01-01"),
    )
    with pytest.raises(UserError, match="have no date"):
        take_inventory(config)


def test_input_may_be_several_folders_and_wildcards(tmp_path: Path) -> None:
    for folder, orbit in (("1999", 1), ("2000", 2), ("2001", 3), ("late", 4)):
        put(tmp_path / folder, "ees", orbit)
    (tmp_path / "2002.txt").write_text("no folder")
    (tmp_path / "spectro-mpi.toml").write_text('input = ["200*", "late", "2000"]')
    config = load_config(tmp_path / "spectro-mpi.toml")
    assert [item.id for item in take_inventory(config).items] == ["2", "3", "4"]
    with pytest.raises(UserError, match=r'input = ".*20x\*" matches no directory'):
        take_inventory(Config(input=(str(tmp_path), str(tmp_path / "20x*"))))


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


def test_files_are_counted_as_they_are_found(tmp_path: Path) -> None:
    for orbit in range(1, 251):
        put(tmp_path, "ees", orbit)
    counts: list[int] = []
    assert len(take_inventory(Config(input=str(tmp_path)), counts.append).items) == 250
    assert counts == [100, 200]
