"""Settings: names, defaults and allowed ranges, as frozen dataclasses.

They are the reference; `loading` reads them, `checking` knows what types cannot say.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval, Le, MinLen

from spectro_mpi.errors import UserError
from spectro_mpi.settings.instrument_table import InstrumentTable
from spectro_mpi.settings.presets import PresetEntry, preset_named

SCALE_PAIR_COLORMAPS = MappingProxyType(
    {
        ("linear", "linear"): "viridis",
        ("linear", "log"): "cividis",
        ("log", "linear"): "plasma",
        ("log", "log"): "inferno",
    }
)
"""(y scale, z scale) → colour map, unless `plot.colormap` names one."""
ScaleName = Literal["linear", "log"]
ScalePair = tuple[ScaleName, ScaleName]
LimitsKind = Literal["given_extrema", "raw"]
FigureKind = Literal["pitch-angle", "instrument-grid"]
Degrees = Annotated[float, Interval(ge=0, le=360)]
_STRICT = {"extra": "forbid", "allow_inf_nan": False}


class SettingsError(UserError):
    """Settings that cannot be used; one sentence a mistake."""


@dataclass(frozen=True)
class SelectSettings:
    """Which items of the input to take."""

    orbits: str = ""
    """"13312-13400,13500"; empty: all. Items that are no numbers, by name."""
    skip: tuple[Annotated[int, Ge(0)] | str, ...] = ()
    """Orbits, or items by name, to leave out."""
    instruments: Annotated[tuple[str, ...], MinLen(1)] = preset_named("fast-esa").instruments
    """With `[[instrument]]` tables, empty or left out: all of these."""
    share: str = ""
    """"2/4": the second of four disjoint shares of the items, of about equal bytes."""

    __pydantic_config__ = _STRICT

    @property
    def share_of(self) -> tuple[int, int]:
        """`share` as (which, of how many), counted from 0; all is (0, 1)."""
        which, _, count = (self.share or "1/1").partition("/")
        return int(which) - 1, int(count)

    @property
    def orbit_ranges(self) -> tuple[tuple[int, int], ...]:
        """The numbers and ranges among `orbits`, as inclusive (first, last) pairs.

        Raises `ValueError` for a range that goes downward.
        """
        return tuple(_orbit_range(part) for part in self._parts if _RANGE.fullmatch(part))

    @property
    def names(self) -> frozenset[str]:
        """The items named among `orbits`: what is neither a number nor a range of them."""
        return frozenset(part for part in self._parts if not _RANGE.fullmatch(part))

    @property
    def _parts(self) -> list[str]:
        return [part.strip() for part in self.orbits.split(",") if part.strip()]


@dataclass(frozen=True)
class DataSettings:
    """What is read from a file."""

    preset: str = "fast-esa"
    """"istp": any mission, by `[[instrument]]` tables."""
    quantity: str = "counts"
    """One of the preset's, if it has several."""
    chunk_records: Annotated[int, Ge(1)] = 4096
    """Records read at a time: bounds a process's memory."""

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class ExtremaSettings:
    """How the common axis limits are found."""

    max_percentile: Annotated[float, Gt(0), Le(100)] = 95.0
    energy_coverage: Annotated[float, Gt(0), Le(1)] = 0.99

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class PlotSettings:
    """What is drawn, and how."""

    scales: Annotated[tuple[ScalePair, ...], MinLen(1)] = (("linear", "log"),)
    """Pairs of energy (y) and colour (z) scale."""
    limits: Annotated[tuple[LimitsKind, ...], MinLen(1)] = ("given_extrema", "raw")
    kinds: Annotated[tuple[FigureKind, ...], MinLen(1)] = ("pitch-angle", "instrument-grid")
    category_limits: Literal["own", "instrument"] = "own"
    """A category's row on limits of its own, or on its instrument's (category `all`)."""
    dpi: Annotated[int, Interval(ge=40, le=1200)] = 200
    panel_size: tuple[
        Annotated[float, Interval(ge=3, le=50)], Annotated[float, Interval(ge=1, le=50)]
    ] = (12.0, 3.0)
    """Width of the figure and height of one row, inches."""
    colormap: str = ""
    """A matplotlib colour map; empty: by scale pair."""
    y_label: str = "Energy (eV)"
    z_label: str = "Counts"
    events: str = ""
    """Table of marked events, relative to the settings file; empty: none."""
    zoom_minutes: Annotated[float, Gt(0)] = 6.25

    __pydantic_config__ = _STRICT

    def colormap_of(self, scales: ScalePair) -> str:
        """Name of the colour map for one pair of scales."""
        return self.colormap or SCALE_PAIR_COLORMAPS[scales]


@dataclass(frozen=True)
class RunSettings:
    """How the work is done; changes none of the results."""

    flush_batch_size: Annotated[int, Ge(1)] = 10
    """Items a shard, and a line of the journal."""
    flush_interval_seconds: Annotated[float, Gt(0)] = 30.0
    log_flush_batch_size: Annotated[int, Ge(0)] = 0
    """Log records held before they are written; 0: as `flush_batch_size`."""
    orbit_timeout_seconds: Annotated[float, Gt(0)] = 60.0
    instrument_timeout_seconds: Annotated[float, Gt(0)] = 30.0
    retry_timeouts: bool = True
    isolation: Literal["process", "none"] = "process"
    memory_limit_mb: Annotated[int, Ge(0)] = 0
    """Of a compute process; 0: the cgroup's limit where there is one."""
    sample_interval_seconds: Annotated[float, Ge(0)] = 5.0
    """Between samples of load and memory; 0: none are taken."""
    install_signal_handlers: bool = True
    """Whether USR1, TERM and INT stop a run cleanly; false: they are the caller's."""
    schedule: Literal["balanced", "snake"] = "balanced"

    __pydantic_config__ = _STRICT

    @property
    def log_batch(self) -> int:
        """Log records held before they are written."""
        return self.log_flush_batch_size or self.flush_batch_size


@dataclass(frozen=True)
class ReportSettings:
    """What the page that shows the run holds; changes none of the results."""

    at_end: bool = True
    """Whether a run that is over makes its report."""
    thumbnails: bool = True
    """Whether small pictures are made with the figures, to browse by: 10 kB each."""
    values: bool = True
    """Whether values are kept for the pointer over a figure: 0.2 kB a record and instrument."""

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class AxisLimits:
    """Axis limits that override the extrema, in physical units (eV; counts or eflux)."""

    y_min: float | None = None
    y_max: float | None = None
    z_min: float | None = None
    z_max: float | None = None

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class JobSettings:
    """What `spectro-mpi submit` asks of a scheduler; empty or 0: the partition's default."""

    ntasks: Annotated[int, Ge(0)] = 0
    """MPI ranks; 0: as many as `plan` finds worth asking for."""
    nodes: Annotated[int, Ge(0)] = 0
    time: str = ""
    """Wall time as sbatch takes it: minutes, "HH:MM:SS", "D-HH"."""
    partition: str = ""
    account: str = ""
    mpi: str = ""
    """Type for `srun --mpi=…`; empty: mpirun."""
    extra: tuple[str, ...] = ()
    """Further options of sbatch, as in ["--mem-per-cpu=2G", "--exclusive"]."""
    setup: tuple[str, ...] = ()
    """Shell lines before the run, as in ["module load python mpi"]."""

    __pydantic_config__ = _STRICT


_PITCH_ANGLES: dict[str, tuple[tuple[float, float], ...]] = {
    "all": ((0.0, 360.0),),
    "downgoing": ((0.0, 30.0), (330.0, 360.0)),
    "upgoing": ((150.0, 210.0),),
    "perpendicular": ((40.0, 140.0), (210.0, 330.0)),
}


@dataclass(frozen=True)
class Config:
    """All settings of a run."""

    run_id: str = "fast"
    input: str = "FAST_data"
    """Directory searched for CDF files; absolute once loaded."""
    output: str = "runs"
    """Directory of run directories; absolute once loaded."""
    phases: Annotated[tuple[str, ...], MinLen(1)] = ("reduce", "plot")
    """"reduce", "plot"; of one's own "module:Class", "file.py:Class", or an entry point's name."""
    seed: Annotated[int, Ge(0)] = 0
    """Of the random numbers phases draw."""
    select: SelectSettings = SelectSettings()
    data: DataSettings = DataSettings()
    pitch_angles: dict[str, tuple[tuple[Degrees, Degrees], ...]] = field(
        default_factory=lambda: dict(_PITCH_ANGLES)
    )
    """Category → intervals [lo, hi) in degrees."""
    extrema: ExtremaSettings = ExtremaSettings()
    plot: PlotSettings = PlotSettings()
    run: RunSettings = RunSettings()
    report: ReportSettings = ReportSettings()
    slurm: JobSettings = JobSettings()
    instrument: tuple[InstrumentTable, ...] = ()
    """Instruments of the preset "istp"."""
    axes: dict[str, AxisLimits] = field(default_factory=dict)
    """Instrument, or "instrument.category" → overriding limits."""
    phase: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name of a phase → settings of its own."""

    __pydantic_config__ = _STRICT

    @property
    def run_dir(self) -> Path:
        """The run directory."""
        return Path(self.output) / self.run_id

    @property
    def instruments(self) -> tuple[str, ...]:
        """All instruments the input may have, whether selected or not."""
        return self.preset.instruments or tuple(table.name for table in self.instrument)

    @property
    def preset(self) -> PresetEntry:
        """The kind of input files."""
        return preset_named(self.data.preset)

    @property
    def items_are_orbits(self) -> bool:
        """Whether items are numbered orbits."""
        return self.preset.items_are_orbits or any(
            "{orbit}" in table.file for table in self.instrument[:1]
        )

    def job_settings(self, scheduler: str) -> JobSettings:
        """What to ask of a scheduler: the table of its name, if there is one."""
        settings: JobSettings = getattr(self, scheduler, None) or JobSettings()
        return settings

    def has_pitch_angles(self, instrument: str) -> bool:
        """Whether an instrument's rows are categories of pitch angle, and not just "all"."""
        return self.preset.has_pitch_angles and all(
            table.pitch_angle for table in self.instrument if table.name == instrument
        )

    def to_toml(self) -> str:
        """The settings as TOML, complete, so that loading it gives an equal `Config`."""
        import tomli_w

        table = _without_none(asdict(self))
        taken_away: dict[str, list[float]] = {
            name: [] for name in _PITCH_ANGLES if name not in self.pitch_angles
        }
        table["pitch_angles"] |= taken_away
        return tomli_w.dumps(table)


def _orbit_range(part: str) -> tuple[int, int]:
    first, dash, last = (word.strip() for word in part.partition("-"))
    low, high = int(first), int(last) if dash else int(first)
    if low > high:
        raise ValueError(f'"{part.strip()}" goes downward')
    return low, high


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(one) for key, one in value.items() if one is not None}
    if isinstance(value, tuple | list):
        return [_without_none(one) for one in value]
    return value


_RANGE = re.compile(r"\d+(\s*-\s*\d+)?", re.ASCII)
