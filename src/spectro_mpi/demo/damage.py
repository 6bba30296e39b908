"""Damaged files, each on a separate orbit.

These orbits follow the undamaged ones, in the order of DAMAGES. Most of them also have an intact
file, of another instrument or of the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from spectro_mpi.demo.cdf import cdf_epoch, fill_value, write_cdf
from spectro_mpi.demo.measurement import Columns, measure
from spectro_mpi.demo.orbits import FilePlan, OrbitPlan, short_survey

Expected = Literal["error", "tolerated"]
Writer = Callable[[Path, OrbitPlan, FilePlan], None]


@dataclass(frozen=True)
class Damage:
    """One kind of damage: the instrument that has it, and how a run must treat it."""

    name: str
    instrument: str
    good: tuple[str, ...]  # instruments of the same orbit with an intact file
    description: str
    expected: Expected
    write: Writer
    file_name: str = ""  # replaces the regular file name

    def path(self, folder: Path, file: FilePlan) -> Path:
        """Return the path of the damaged file in `folder`."""
        return folder / (self.file_name or file.name)


def write_file(
    path: Path,
    orbit: OrbitPlan,
    file: FilePlan,
    spoil: Callable[[Columns, int], Columns] | None = None,
    reshaped: dict[str, tuple[int, ...]] | None = None,
    without: frozenset[str] = frozenset(),
    records: bool = True,
) -> None:
    """Write one file; `spoil`, if given, alters each block, given the block and its number.

    `reshaped` and `without` are those of `write_cdf`; without `records`, the file has none.
    """

    def blocks() -> Iterator[Columns]:
        for number, block in enumerate(measure(orbit, file) if records else ()):
            yield spoil(block, number) if spoil else block

    write_cdf(path, file, blocks(), reshaped, without)


def plan_damaged(orbit: OrbitPlan, damage: Damage) -> tuple[FilePlan, list[FilePlan]]:
    """Return the file to damage, and the intact files of its orbit."""
    damaged = short_survey(orbit, damage.instrument)
    return damaged, [short_survey(orbit, name) for name in damage.good]


def _empty(path: Path, orbit: OrbitPlan, file: FilePlan) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def _text(path: Path, orbit: OrbitPlan, file: FilePlan) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page = "<html><head><title>404 Not Found</title></head><body>Not Found</body></html>\n"
    path.write_text(page, encoding="ascii")


def _truncated(path: Path, orbit: OrbitPlan, file: FilePlan) -> None:
    write_file(path, orbit, file)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])


def _no_records(path: Path, orbit: OrbitPlan, file: FilePlan) -> None:
    write_file(path, orbit, file, records=False)


def _all_fill(path: Path, orbit: OrbitPlan, file: FilePlan) -> None:
    def spoil(block: Columns, number: int) -> Columns:
        return {name: np.full_like(v, fill_value(name)) for name, v in block.items()}

    write_file(path, orbit, file, spoil)


def _missing_variable(path: Path, orbit: OrbitPlan, file: FilePlan) -> None:
    write_file(path, orbit, file, without=frozenset({"pitch_angle"}))


def _wrong_dimensions(path: Path, orbit: OrbitPlan, file: FilePlan) -> None:
    def spoil(block: Columns, number: int) -> Columns:
        return block | {"data": block["data"][:, :32, :48]}

    write_file(path, orbit, file, spoil, reshaped={"data": (32, 48)})


def _not_numbers(path: Path, orbit: OrbitPlan, file: FilePlan) -> None:
    def spoil(block: Columns, number: int) -> Columns:
        rng = np.random.default_rng(np.random.SeedSequence(orbit.seed, spawn_key=(number,)))
        spoiled = dict(block)
        for name in ("eflux", "pitch_angle"):
            holed = block[name].copy()
            holed[rng.random(holed.shape) < 0.02] = np.nan
            holed[5] = np.nan
            spoiled[name] = holed
        for name, record in (("theta_shift", 7), ("time_unix", 11), ("epoch", 11)):
            spoiled[name] = block[name].copy()
            spoiled[name][record] = np.nan
        return spoiled

    write_file(path, orbit, file, spoil)


def _disordered_times(path: Path, orbit: OrbitPlan, file: FilePlan) -> None:
    def spoil(block: Columns, number: int) -> Columns:
        order = np.arange(len(block["time_unix"]))
        order[10:20] = order[19:9:-1]  # ten records backwards
        order[30:35] = order[30]  # five records at one time
        times = {
            name: np.asarray(block[name][order]) for name in ("time_unix", "time_start", "time_end")
        }
        return block | times | {"epoch": cdf_epoch(_as_floats(times["time_unix"]))}

    write_file(path, orbit, file, spoil)


def _as_floats(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    return values.astype(np.float64)


DAMAGES = (
    Damage("empty", "ees", ("ies",), "a file of 0 bytes", "error", _empty),
    Damage("text", "ies", ("ees",), "a web server's error page, saved as .cdf", "error", _text),
    Damage("truncated", "ees", (), "the first 60 % of a file", "error", _truncated),
    Damage("no-records", "eeb", ("ees",), "a valid CDF without records", "error", _no_records),
    Damage("all-fill", "ies", (), "every value is its variable's FILLVAL", "error", _all_fill),
    Damage(
        "missing-variable", "ies", ("ees",), "no variable pitch_angle", "error", _missing_variable
    ),
    Damage(
        "wrong-dimensions",
        "ees",
        ("ies",),
        "data is (32, 48) and not (64, 96)",
        "error",
        _wrong_dimensions,
    ),
    Damage(
        "not-a-number",
        "ees",
        ("ies",),
        "NaN in 2 % of eflux and pitch_angle, in all of one record in 64, and in some times",
        "tolerated",
        _not_numbers,
    ),
    Damage(
        "disordered-times",
        "ies",
        ("ees",),
        "times that run backwards for ten records and repeat for five",
        "tolerated",
        _disordered_times,
    ),
    Damage(
        "odd-name",
        "ees",
        ("ees",),
        "an intact file whose name gives neither orbit nor start time; a run ignores it",
        "tolerated",
        write_file,
        file_name="fa_esa_l2_ees_copy_of_latest.cdf",
    ),
)
