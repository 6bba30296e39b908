"""Each item has the ephemeris files of its name, or of its time."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectro_mpi.planning.inventory import (
    Inventory,
    load_inventory,
    save_inventory,
    take_inventory,
)
from spectro_mpi.settings.ephemeris import EphemerisSettings
from spectro_mpi.settings.instrument_table import InstrumentTable
from spectro_mpi.settings.schema import Config, DataSettings
from spectro_mpi.settings.selection import SelectSettings
from spectro_mpi.terminal.summary import print_inventory
from tests.planning.test_inventory import put


def k0(folder: Path, orbit: int, version: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"fa_k0_orb_{orbit:05d}_v{version:02d}.cdf"
    path.write_bytes(b"k0")
    return path


def ephemeris(inventory: Inventory) -> dict[str, list[str]]:
    return {item.id: [Path(f.path).name for f in item.ephemeris] for item in inventory.items}


def test_an_orbit_has_the_highest_version_of_its_ephemeris(tmp_path: Path) -> None:
    put(tmp_path, "ees", 13312)
    put(tmp_path, "ees", 13313)
    best = k0(tmp_path / "k0", 13312, 2)
    old = k0(tmp_path / "elsewhere", 13312, 1)
    k0(tmp_path, 99)
    inventory = take_inventory(Config(input=str(tmp_path)))
    assert ephemeris(inventory) == {"13312": [best.name], "13313": []}
    (file,) = inventory.items[0].ephemeris
    assert [older.path for older in file.older] == [str(old)]
    assert inventory.unknown == ()
    assert inventory.items[0].size == 10
    assert inventory.without_ephemeris == 1


def test_an_inventory_is_kept_with_its_ephemeris(tmp_path: Path) -> None:
    put(tmp_path / "in", "ees", 13312)
    k0(tmp_path / "in", 13312, 2)
    k0(tmp_path / "in", 13312, 1)
    config = Config(input=str(tmp_path / "in"), output=str(tmp_path / "out"))
    inventory = take_inventory(config)
    save_inventory(tmp_path / "out" / "inventory.json", inventory, config)
    assert load_inventory(tmp_path / "out" / "inventory.json", config) == inventory
    none = Config(
        input=config.input, output=config.output, ephemeris=EphemerisSettings(file="none")
    )
    assert load_inventory(tmp_path / "out" / "inventory.json", none) is None


def test_none_turns_it_off(tmp_path: Path) -> None:
    put(tmp_path, "ees", 13312)
    k0(tmp_path, 13312)
    config = Config(input=str(tmp_path), ephemeris=EphemerisSettings(file="none"))
    inventory = take_inventory(config)
    assert ephemeris(inventory) == {"13312": []}
    assert inventory.unknown == ()


def daily(folder: Path, **changes: str) -> Config:
    table = InstrumentTable("mag", "mag_{date}_v{version}.cdf", "B")
    return Config(
        input=str(folder),
        data=DataSettings(preset="istp"),
        select=SelectSettings(instruments=("mag",)),
        instrument=(table,),
        ephemeris=EphemerisSettings(**{"file": "orb_{date}_v{version}.cdf", **changes}),  # type: ignore[arg-type]
    )


def test_by_date_an_item_has_what_began_before_it_and_what_follows(tmp_path: Path) -> None:
    for name in ("mag_20010305_v1", "mag_20010306120000_v1", "mag_20010301_v1"):
        (tmp_path / f"{name}.cdf").write_bytes(b"x")
    for day in ("20010304", "20010305", "20010306", "20010307", "20010309"):
        (tmp_path / f"orb_{day}_v1.cdf").write_bytes(b"x")
    found = ephemeris(take_inventory(daily(tmp_path)))
    assert found == {
        "20010305": ["orb_20010305_v1.cdf"],
        "20010306120000": ["orb_20010306_v1.cdf", "orb_20010307_v1.cdf"],
        "20010301": [],
    }


@pytest.mark.parametrize(
    ("orbits", "sentence"),
    [
        ((13312, 13313), ""),
        ((13312,), "1 of 2 items have no ephemeris (fa_k0_orb_{orbit}_v{version}.cdf)"),
        ((), "no item has ephemeris (fa_k0_orb_{orbit}_v{version}.cdf): figures without ALT"),
    ],
)
def test_what_is_missing_is_said_once(
    tmp_path: Path, orbits: tuple[int, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for orbit in (13312, 13313):
        put(tmp_path, "ees", orbit)
    for orbit in orbits:
        k0(tmp_path, orbit)
    config = Config(input=str(tmp_path))
    print_inventory(config, take_inventory(config))
    out = capsys.readouterr().out
    assert sentence in out
    assert out.count("ephemeris") == bool(sentence)
