"""Settings: names, defaults and allowed ranges, as frozen dataclasses.

These classes are the reference. `loading` reads settings files, `checking` checks what types and
ranges cannot express.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval, Le, Lt, MinLen

from spectro_mpi.errors import UserError
from spectro_mpi.settings.angles import BY_ANGLE, AngleSettings
from spectro_mpi.settings.atlas import AtlasSettings
from spectro_mpi.settings.direction import Direction
from spectro_mpi.settings.ephemeris import NONE, EphemerisSettings
from spectro_mpi.settings.fetch import FetchSettings
from spectro_mpi.settings.instrument_table import InstrumentTable
from spectro_mpi.settings.moments import SPECIES, MomentSettings, Species
from spectro_mpi.settings.presets import FixedAxes, PresetEntry, preset_named
from spectro_mpi.settings.selection import SelectSettings
from spectro_mpi.settings.summary import sources_of
from spectro_mpi.settings.superpose import SuperposeSettings
from spectro_mpi.settings.versions import SETTINGS, SETTINGS_VERSION

SCALE_PAIR_COLORMAPS = MappingProxyType(
    {
        ("linear", "linear"): "viridis",
        ("linear", "log"): "cividis",
        ("log", "linear"): "plasma",
        ("log", "log"): "inferno",
    }
)
"""(y scale, z scale) → colour map, if `plot.colormap` names none."""
ScaleName = Literal["linear", "log"]
ScalePair = tuple[ScaleName, ScaleName]
LimitsKind = Literal["given_extrema", "raw"]
FormatName = Literal["png", "pdf", "svg"]
KindName = Literal["pitch-angle", "instrument-grid", "angle", "summary"]
AxesName = Literal["extrema", "spedas"]
Degrees = Annotated[float, Interval(ge=0, le=360)]
Category = tuple[tuple[Degrees, Degrees], ...] | Direction
_STRICT = {"extra": "forbid", "allow_inf_nan": False}
_CADENCE = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h)", re.ASCII)
_MICROSECONDS = {"ms": 1_000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000}
_LONGEST_CADENCE = 8784 * _MICROSECONDS["h"]  # a year


class SettingsError(UserError):
    """Settings that cannot be used. The message has one sentence for each mistake."""


@dataclass(frozen=True)
class DataSettings:
    """What is read from the input files."""

    preset: str = "fast-esa"
    """Kind of input files; "istp": any mission, described by `[[instrument]]` tables."""
    quantity: str = "counts"
    """A quantity of the preset. FAST ESA: "counts", summed over the bins of a category, or averaged
    over them "rate" (counts a second of a bin), "eflux", "flux" (differential energy and number
    flux); or "codes", sums of the telemetry codes as some quick-look scripts draw them."""
    retrace: bool = False
    """Whether to include energy steps that are no measurement, such as the retrace of the sweep."""
    quality: Literal["mark", "drop", "ignore"] = "mark"
    """What to do with records that the file flags (overflow, dead time): mark them above the
    panels, leave them out, or nothing."""
    errors: bool = False
    """Whether to store the uncertainty of the values, as QUANTITY_error."""
    angle_borders: Literal["", "fraction", "centre"] = ""
    """Bins at the border of a category: by the "fraction" inside it, or whole if their "centre" is.
    Empty: "centre" for sums, "fraction" for anything else."""
    angle_weight: Literal["pitch-angle", "domega"] = "pitch-angle"
    """Weight of a bin in a mean: the solid angle of its ring of pitch angles, or the file's."""
    cadence: str = ""
    """Combine the records in each such time, as "60 s" (ms, s, min or h): counts to their sum,
    anything else to its mean. Empty: records as in the file."""
    chunk_records: Annotated[int, Ge(1)] = 4096
    """Records read at a time; bounds the memory of a process."""

    __pydantic_config__ = _STRICT

    @property
    def cadence_micros(self) -> int:
        """`cadence` in microseconds; 0: none. Raises `ValueError` if it cannot be read."""
        if not self.cadence:
            return 0
        match = _CADENCE.fullmatch(self.cadence.strip())
        if match is None:
            raise ValueError('expected a number and a unit (ms, s, min or h) such as "60 s"')
        micros = Fraction(match[1]) * _MICROSECONDS[match[2]]
        if micros.denominator != 1 or not 1_000 <= micros <= _LONGEST_CADENCE:
            raise ValueError("expected 1 ms to 8784 h, in whole microseconds")
        return int(micros)


@dataclass(frozen=True)
class ExtremaSettings:
    """How the common axis limits are computed."""

    max_percentile: Annotated[float, Gt(0), Le(100)] = 95.0
    """The colour scale ends at this percentile of all positive values; a linear one at that of all
    values if any is negative."""
    min_percentile: Annotated[float, Ge(0), Lt(100)] = 0.1
    """A log colour scale begins at this percentile of all positive values; 0: at the smallest. A
    linear one begins at 0 or, if any value is negative, at this percentile of all values."""
    energy_coverage: Annotated[float, Gt(0), Le(1)] = 0.99
    """The energy axis ends where this share of all positive cells (all, if any is negative) is at
    or below its end."""

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class PlotSettings:
    """What is drawn, and how."""

    scales: Annotated[tuple[ScalePair, ...], MinLen(1)] = (("log", "log"),)
    """Pairs of energy (y) and colour (z) scale. `y_scale` and `z_scale` of an instrument go before
    them, and an axis that the file calls linear (SCALETYP) is never drawn logarithmic."""
    limits: Annotated[tuple[LimitsKind, ...], MinLen(1)] = ("given_extrema", "raw")
    """"given_extrema": the common limits of all items; "raw": limits by each row's data."""
    kinds: Annotated[tuple[KindName, ...], MinLen(1)] = ("pitch-angle", "instrument-grid")
    """"pitch-angle": a figure per instrument, a row per category; "instrument-grid": a figure per
    item, a row per instrument; "angle": a figure per instrument, a row per energy band, which shows
    pitch angles; "summary": a figure per item, with the panels of `summary`."""
    summary: tuple[str, ...] = ()
    """Panels of figures of kind "summary", from top to bottom: "ees.downgoing" (a category),
    "ees-angles.100-1000" (pitch angles of a band), "ees-energy_flux.net" (a moment, as a line). In
    "A | B" the first that an item has is drawn; "A + B" are two lines in a panel, or the potential
    of the spacecraft over energies. Empty: those of the preset."""
    axes: AxesName = "extrema"
    """Axes of the figures with common limits: "extrema", computed from all items; "spedas", the
    fixed ones that users of FAST data know, for `eflux`."""
    fold_angles: bool = False
    """Whether figures of kind "angle" show 0 to 180°, means of both halves, instead of 0 to 360."""
    category_limits: Literal["own", "instrument"] = "own"
    """Common limits of a category's row: its own, or its instrument's (category `all`)."""
    dpi: Annotated[int, Interval(ge=40, le=1200)] = 200
    """Pixels per inch."""
    panel_size: tuple[
        Annotated[float, Interval(ge=3, le=50)], Annotated[float, Interval(ge=1, le=50)]
    ] = (12.0, 3.0)
    """Width of the figure and height of one row, inches."""
    text_scale: Annotated[float, Interval(ge=0.25, le=5)] = 1.0
    """Size of text and margins, relative to that of a wide figure: labels of 10 points. Text of
    narrow figures is smaller, but not below 5.5 points where there is room."""
    formats: Annotated[tuple[FormatName, ...], MinLen(1)] = ("png",)
    """Files of each figure: "png", which the report needs, and "pdf" or "svg" beside it."""
    colormap: str = ""
    """A matplotlib colour map; empty: by the pair of scales (`SCALE_PAIR_COLORMAPS`)."""
    y_label: str = ""
    """Label of the energy axis; empty: the name and unit of the channels."""
    z_label: str = ""
    """Label of the colour bar; empty: the name and unit of the quantity."""
    events: str = ""
    """Path of a table of marked events, relative to the settings file; empty: none."""
    event_label: Annotated[str, MinLen(1)] = "event"
    """What an event is called if its row of the table has no label."""
    zoom_minutes: Annotated[float, Gt(0)] = 6.25
    """Width of the zoom column around an event, minutes."""
    ephemeris: tuple[str, ...] = ("alt", "ilat", "mlt")
    """Variables of the ephemeris that label the time axis (names of `[ephemeris] variables`)."""
    gap_factor: Annotated[float, Gt(1)] = 2.5
    """Records with a longer step between them than so many local widths have a gap between them.
    The local width is the larger of the medians of up to 5 steps before and 5 after a record."""

    __pydantic_config__ = _STRICT

    def colormap_of(self, scales: ScalePair) -> str:
        """Name of the colour map for one pair of scales."""
        return self.colormap or SCALE_PAIR_COLORMAPS[scales]


_SMALL_BATCH, FEW_WORKERS = 10, 4


@dataclass(frozen=True)
class RunSettings:
    """How the work is done; does not affect the results."""

    flush_batch_size: Annotated[int, Ge(0)] = 0
    """Items written to disk together, with one line of the journal. A killed run loses at most this
    many finished items, and one per worker more, less one. 0: 10 for up to 4 workers, otherwise
    twice their number and one (`batch_size`)."""
    flush_interval_seconds: Annotated[float, Gt(0)] = 30.0
    """Longest time until finished items are written, even if they are fewer."""
    log_flush_batch_size: Annotated[int, Ge(0)] = 0
    """Log records buffered before they are written; 0: as `flush_batch_size`, or 10."""
    orbit_timeout_seconds: Annotated[float, Gt(0)] = 60.0
    """An item that takes longer is recorded as an error."""
    instrument_timeout_seconds: Annotated[float, Gt(0)] = 30.0
    """An instrument of an item that takes longer is recorded as an error."""
    retry_timeouts: bool = True
    """Whether what timed out is tried once more at the end, with doubled limits."""
    isolation: Literal["process", "none"] = "process"
    """"process": compute in a child process, so that a crash costs only one item."""
    memory_limit_mb: Annotated[int, Ge(0)] = 0
    """Limit of a compute process; 0: its share of the cgroup's limit, if there is one."""
    sample_interval_seconds: Annotated[float, Ge(0)] = 5.0
    """Time between samples of load and memory; 0: no samples."""
    install_signal_handlers: bool = True
    """Whether USR1, TERM and INT stop a run cleanly; false: the caller handles them."""
    schedule: Literal["balanced", "snake"] = "balanced"
    """"balanced": idle workers take items from the fullest stack; "snake": they do not."""

    __pydantic_config__ = _STRICT

    @property
    def log_batch(self) -> int:
        """Log records buffered before they are written."""
        return self.log_flush_batch_size or self.flush_batch_size or _SMALL_BATCH

    def batch_size(self, workers: int) -> int:
        """`flush_batch_size`, or what it is by default for a number of workers."""
        by_default = _SMALL_BATCH if workers <= FEW_WORKERS else 2 * workers + 1
        return self.flush_batch_size or by_default


@dataclass(frozen=True)
class ReportSettings:
    """What the report of a run contains; does not affect the results."""

    at_end: bool = True
    """Whether to write the report when a run ends."""
    thumbnails: bool = True
    """Whether to draw thumbnails of the figures, for browsing; 10 kB each."""
    values: bool = True
    """Whether to store values to show under the pointer; 0.2 kB per record and instrument."""

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class AxisLimits:
    """Axis limits that override the extrema exactly, in physical units (eV; counts or eflux)."""

    y_min: float | None = None
    y_max: float | None = None
    z_min: float | None = None
    z_max: float | None = None

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class JobSettings:
    """What `spectro-mpi submit` requests from a scheduler; empty or 0: the partition's default."""

    ntasks: Annotated[int, Ge(0)] = 0
    """MPI ranks; 0: as many as `plan` recommends."""
    nodes: Annotated[int, Ge(0)] = 0
    """Number of nodes."""
    time: str = ""
    """Wall time in the format of sbatch: minutes, "HH:MM:SS", "D-HH"."""
    partition: str = ""
    """Partition (PBS: queue) to submit to."""
    account: str = ""
    """Account to charge."""
    mpi: str = ""
    """Type for `srun --mpi=…`; empty: use mpirun. Not for PBS."""
    extra: tuple[str, ...] = ()
    """Further options of sbatch, as in ["--mem-per-cpu=2G"], or of qsub, as in ["-P project"]."""
    setup: tuple[str, ...] = ()
    """Shell commands to run first, as in ["module load python mpi"]."""

    __pydantic_config__ = _STRICT


_PITCH_ANGLES: dict[str, Category] = {
    "all": ((0.0, 360.0),),
    "parallel": ((0.0, 30.0), (330.0, 360.0)),
    "antiparallel": ((150.0, 210.0),),
    "perpendicular": ((40.0, 140.0), (220.0, 320.0)),
}
"""0° is along B: downward in the northern hemisphere, upward in the southern."""


@dataclass(frozen=True)
class Config:
    """All settings of a run."""

    run_id: str = "fast"
    """Name of the run directory."""
    input: str | Annotated[tuple[str, ...], MinLen(1)] = "FAST_data"
    """Directory to search for CDF files, or several; `*`, `?` and `[…]` are wildcards. Absolute
    paths once loaded."""
    output: str = "runs"
    """Directory that contains the run directories; an absolute path once loaded."""
    phases: Annotated[tuple[str, ...], MinLen(1)] = ("reduce", "plot")
    """Also "superpose", "atlas", or yours: "module:Class", "file.py:Class", an entry point."""
    seed: Annotated[int, Ge(0)] = 0
    """Seed of the random numbers that phases use."""
    select: SelectSettings = field(default_factory=SelectSettings)
    data: DataSettings = DataSettings()
    angles: AngleSettings = field(default_factory=AngleSettings)
    atlas: AtlasSettings = field(default_factory=AtlasSettings)
    ephemeris: EphemerisSettings = field(default_factory=EphemerisSettings)
    moments: MomentSettings = field(default_factory=MomentSettings)
    pitch_angles: dict[str, Category] = field(default_factory=lambda: dict(_PITCH_ANGLES))
    """Category → intervals [lo, hi) in degrees, or a direction, as in
    `downgoing = { toward = "earth", within = 30 }`."""
    extrema: ExtremaSettings = ExtremaSettings()
    plot: PlotSettings = PlotSettings()
    run: RunSettings = RunSettings()
    report: ReportSettings = ReportSettings()
    superpose: SuperposeSettings = field(default_factory=SuperposeSettings)
    slurm: JobSettings = JobSettings()
    pbs: JobSettings = JobSettings()
    fetch: FetchSettings = field(default_factory=FetchSettings)
    instrument: tuple[InstrumentTable, ...] = ()
    """Instruments, with the preset "istp"."""
    axes: dict[str, AxisLimits] = field(default_factory=dict)
    """Instrument, or "instrument.category" → limits that override the common ones."""
    phase: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name of a phase → its settings."""

    __pydantic_config__ = _STRICT

    @property
    def run_dir(self) -> Path:
        """The run directory."""
        return Path(self.output) / self.run_id

    @property
    def inputs(self) -> tuple[str, ...]:
        """`input` as a tuple."""
        return (self.input,) if isinstance(self.input, str) else self.input

    @property
    def instruments(self) -> tuple[str, ...]:
        """All instruments that the input may have, selected or not."""
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

    @property
    def item_word(self) -> str:
        """What an item is called."""
        return "orbit" if self.items_are_orbits else "item"

    @property
    def ephemeris_file(self) -> str:
        """Pattern of the names of ephemeris files; empty: none are read."""
        pattern = self.ephemeris.file or self.preset.ephemeris
        return "" if pattern == NONE else pattern

    @property
    def has_angles(self) -> bool:
        """Whether pitch-angle spectrograms are computed and stored."""
        return "angle" in self.plot.kinds or (
            "summary" in self.plot.kinds
            and any(source.group.endswith(BY_ANGLE) for source in sources_of(self.summary))
        )

    @property
    def has_moments(self) -> bool:
        """Whether moments are computed and stored."""
        if self.moments.compute is not None:
            return self.moments.compute
        return self.moments != MomentSettings() or (
            "summary" in self.plot.kinds
            and any(source.series for source in sources_of(self.summary))
        )

    @property
    def summary(self) -> tuple[str, ...]:
        """The panels of figures of kind "summary"."""
        return self.plot.summary or self.preset.summary

    @property
    def fixed_axes(self) -> FixedAxes | None:
        """The axes that `plot.axes` names; None: they are computed, or the preset has none."""
        return next((each for each in self.preset.fixed_axes if each.name == self.plot.axes), None)

    def bands(self, instrument: str) -> tuple[tuple[float, float], ...]:
        """The energy bands of an instrument's pitch-angle spectrograms; none without angles."""
        bands = self.angles.bands or dict(self.preset.bands)
        return tuple(bands.get(instrument, ())) if self.has_pitch_angles(instrument) else ()

    def species(self, instrument: str) -> Species | None:
        """What an instrument measures; None: not known, or no moments are computed."""
        name = self.moments.species.get(instrument) or dict(self.preset.species).get(instrument)
        return SPECIES[name] if name and self.has_moments else None

    @property
    def intervals(self) -> dict[str, tuple[tuple[float, float], ...]]:
        """The categories of pitch angle that are the same for all records."""
        return {
            name: category
            for name, category in self.pitch_angles.items()
            if not isinstance(category, Direction)
        }

    @property
    def directions(self) -> dict[str, Direction]:
        """The categories of pitch angle that depend on the ephemeris."""
        return {
            name: category
            for name, category in self.pitch_angles.items()
            if isinstance(category, Direction)
        }

    def job_settings(self, scheduler: str) -> JobSettings:
        """What to request from a scheduler: the table with its name, or else that of Slurm."""
        settings: JobSettings = getattr(self, scheduler, self.slurm)
        return settings

    def has_pitch_angles(self, instrument: str) -> bool:
        """Whether an instrument's rows are pitch-angle categories, not a single row "all"."""
        return self.preset.has_pitch_angles and all(
            table.pitch_angle for table in self.instrument if table.name == instrument
        )

    def to_toml(self) -> str:
        """All settings as TOML, with their version; loading it gives an equal `Config`."""
        import tomli_w

        table = _without_none(asdict(self))
        # A table would stand after all lists, but the order of the categories matters.
        table["pitch_angles"] = {
            name: [{key: value for key, value in given.items() if value}]
            if isinstance(given, dict)
            else given
            for name, given in table["pitch_angles"].items()
        }
        return tomli_w.dumps({SETTINGS: SETTINGS_VERSION} | table)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(one) for key, one in value.items() if one is not None}
    if isinstance(value, tuple | list):
        return [_without_none(one) for one in value]
    return value
