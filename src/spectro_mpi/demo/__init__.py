"""Sample data: a small archive of simulated FAST ESA level-2 files, settings and events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spectro_mpi.demo.damage import DAMAGES, Damage, Expected, plan_damaged, write_file
from spectro_mpi.demo.ephemeris import ephemeris_name, write_ephemeris
from spectro_mpi.demo.orbits import (
    FIRST_ORBIT,
    LARGEST_BURST,
    FilePlan,
    OrbitPlan,
    large_burst,
    plan_orbit,
)
from spectro_mpi.demo.templates import SETTINGS, event_rows

__all__ = ["DamagedFile", "DemoSummary", "write_demo"]


@dataclass(frozen=True)
class DamagedFile:
    """A damaged file of the demo."""

    path: Path
    orbit: int
    damage: str  # kind of damage, such as "truncated"
    description: str
    expected: Expected  # whether a run must report an error or tolerate it


@dataclass(frozen=True)
class DemoSummary:
    """The files that `write_demo` wrote."""

    directory: Path
    orbits: int  # number of orbits with at least one file, damaged or not
    files: int  # of the spectrometers; each orbit has an ephemeris file besides
    bytes: int  # total size of the spectrometers' files
    events: int  # number of orbits with a marked cusp crossing
    large_burst: Path | None
    damaged: tuple[DamagedFile, ...]


def write_demo(
    directory: Path | str,
    orbits: int = 12,
    seed: int = 0,
    burst_records: int = 0,
    damaged: bool = False,
) -> DemoSummary:
    """Write FAST_data/YYYY/MM/*.cdf, spectro-mpi.toml and events.csv into `directory`.

    Orbits are consecutive from 13312, and each has an ephemeris file. The same seed gives the same
    bytes; an orbit does not depend on the number of orbits. `burst_records` adds an electron burst
    file of that many records to the first orbit; `damaged` appends ten orbits with one damaged file
    each (see demo/damage.py).

    Raises `FileExistsError` if the directory already holds a demo or other data, and
    `ValueError` if `orbits` is below 1 or an orbit cannot hold `burst_records` records.
    """
    if orbits < 1:
        raise ValueError(f"a demo needs at least one orbit, not {orbits}")
    if not 0 <= burst_records <= LARGEST_BURST:
        raise ValueError(f"an orbit has room for 0 to {LARGEST_BURST} burst records")
    directory = Path(directory)
    _refuse_to_overwrite(directory)

    plans = [plan_orbit(FIRST_ORBIT + index, seed) for index in range(orbits)]
    written: list[Path] = []
    for plan in plans:
        written += [_write(directory, plan, file) for file in plan.files]
        _write_ephemeris(directory, plan, plan.files[0])
    burst = None
    if burst_records:
        burst = _write(directory, plans[0], large_burst(plans[0], burst_records))
        written.append(burst)
    spoiled = []
    for index, damage in enumerate(DAMAGES if damaged else ()):
        plan = plan_orbit(FIRST_ORBIT + orbits + index, seed)
        bad, good = _write_damaged(directory, plan, damage)
        spoiled.append(bad)
        written += [bad.path, *good]

    rows = event_rows(plans)
    (directory / "events.csv").write_text("\n".join(rows) + "\n", encoding="utf-8", newline="\n")
    (directory / "spectro-mpi.toml").write_text(SETTINGS, encoding="utf-8", newline="\n")
    return DemoSummary(
        directory=directory,
        orbits=orbits + len(spoiled),
        files=len(written),
        bytes=sum(path.stat().st_size for path in written),
        events=len(rows) - 1,
        large_burst=burst,
        damaged=tuple(spoiled),
    )


def _refuse_to_overwrite(directory: Path) -> None:
    data = directory / "FAST_data"
    for path in (directory / "spectro-mpi.toml", directory / "events.csv", data):
        if path.exists() and (path != data or not data.is_dir() or any(data.iterdir())):
            raise FileExistsError(f"{path} exists: choose another directory for the demo")


def _write(directory: Path, orbit: OrbitPlan, file: FilePlan) -> Path:
    path = _folder(directory, file) / file.name
    write_file(path, orbit, file)
    return path


def _write_damaged(
    directory: Path, orbit: OrbitPlan, damage: Damage
) -> tuple[DamagedFile, list[Path]]:
    file, good = plan_damaged(orbit, damage)
    path = damage.path(_folder(directory, file), file)
    damage.write(path, orbit, file)
    bad = DamagedFile(path, orbit.orbit, damage.name, damage.description, damage.expected)
    _write_ephemeris(directory, orbit, file)
    return bad, [_write(directory, orbit, other) for other in good]


def _write_ephemeris(directory: Path, orbit: OrbitPlan, file: FilePlan) -> None:
    """Write the ephemeris of an orbit beside one of its files."""
    write_ephemeris(_folder(directory, file) / ephemeris_name(orbit.orbit), orbit)


def _folder(directory: Path, file: FilePlan) -> Path:
    return directory / "FAST_data" / file.folder
