"""Settings: TOML → a frozen, validated `Config`.

The dataclasses below are the reference of names, defaults and allowed ranges. Everything is
checked before anything starts; every mistake is told at once, with its key.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args, get_type_hints

from annotated_types import Ge, Gt, Interval, Le, MinLen

from spectro_mpi.errors import UserError
from spectro_mpi.instrument_table import InstrumentTable, mistakes_of
from spectro_mpi.slurm import seconds_of

DEFAULT_FILE = "spectro-mpi.toml"
SCALE_PAIR_COLORMAPS = MappingProxyType(
    {
        ("linear", "linear"): "viridis",
        ("linear", "log"): "cividis",
        ("log", "linear"): "plasma",
        ("log", "log"): "inferno",
    }
)
"""(y scale, z scale) → colour map, unless `plot.colormap` names one."""

Scale = Literal["linear", "log"]
ScalePair = tuple[Scale, Scale]
Limits = Literal["given_extrema", "raw"]
Kind = Literal["pitch-angle", "instrument-grid"]
FAST_INSTRUMENTS = ("ees", "eeb", "ies", "ieb")
Degrees = Annotated[float, Interval(ge=0, le=360)]

_MOST_PIXELS = 250_000_000
"""Of a figure: more, and readers of PNG take it for an attack."""

_STRICT = {"extra": "forbid", "allow_inf_nan": False}


class SettingsError(UserError):
    """Settings that cannot be used; one sentence a mistake."""


@dataclass(frozen=True)
class Select:
    """Which items of the input to take."""

    orbits: str = ""
    """"13312-13400,13500"; empty: all. Items that are no numbers, by name."""
    skip: tuple[Annotated[int, Ge(0)] | str, ...] = ()
    """Orbits, or items by name, to leave out."""
    instruments: Annotated[tuple[str, ...], MinLen(1)] = FAST_INSTRUMENTS
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
class Data:
    """What is read from a file."""

    preset: Literal["fast-esa", "istp"] = "fast-esa"
    """"istp": any mission, by `[[instrument]]` tables."""
    quantity: Literal["counts", "eflux"] = "counts"
    """Of FAST ESA."""
    chunk_records: Annotated[int, Ge(1)] = 4096
    """Records read at a time: bounds a process's memory."""

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class Extrema:
    """How the common axis limits are found."""

    max_percentile: Annotated[float, Gt(0), Le(100)] = 95.0
    energy_coverage: Annotated[float, Gt(0), Le(1)] = 0.99

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class Plot:
    """What is drawn, and how."""

    scales: Annotated[tuple[ScalePair, ...], MinLen(1)] = (("linear", "log"),)
    """Pairs of energy (y) and colour (z) scale."""
    limits: Annotated[tuple[Limits, ...], MinLen(1)] = ("given_extrema", "raw")
    kinds: Annotated[tuple[Kind, ...], MinLen(1)] = ("pitch-angle", "instrument-grid")
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
class Run:
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
class Report:
    """What the page that shows the run holds; changes none of the results."""

    at_end: bool = True
    """Whether a run that is over makes its report."""
    thumbnails: bool = True
    """Whether small pictures are made with the figures, to browse by: 10 kB each."""
    values: bool = True
    """Whether values are kept for the pointer over a figure: 0.2 kB a record and instrument."""

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class Axes:
    """Axis limits that override the extrema, in physical units (eV; counts or eflux)."""

    y_min: float | None = None
    y_max: float | None = None
    z_min: float | None = None
    z_max: float | None = None

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class Slurm:
    """What `spectro-mpi submit` asks of Slurm; empty or 0: the partition's default."""

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
    select: Select = Select()
    data: Data = Data()
    pitch_angles: dict[str, tuple[tuple[Degrees, Degrees], ...]] = field(
        default_factory=lambda: dict(_PITCH_ANGLES)
    )
    """Category → intervals [lo, hi) in degrees."""
    extrema: Extrema = Extrema()
    plot: Plot = Plot()
    run: Run = Run()
    report: Report = Report()
    slurm: Slurm = Slurm()
    instrument: tuple[InstrumentTable, ...] = ()
    """Instruments of the preset "istp"."""
    axes: dict[str, Axes] = field(default_factory=dict)
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
        if self.data.preset == "fast-esa":
            return FAST_INSTRUMENTS
        return tuple(table.name for table in self.instrument)

    def has_pitch_angles(self, instrument: str) -> bool:
        """Whether an instrument's rows are categories of pitch angle, and not just "all"."""
        return all(table.pitch_angle for table in self.instrument if table.name == instrument)

    def to_toml(self) -> str:
        """The settings as TOML, complete, so that loading it gives an equal `Config`."""
        import tomli_w

        table = _without_none(asdict(self))
        taken_away: dict[str, list[float]] = {
            name: [] for name in _PITCH_ANGLES if name not in self.pitch_angles
        }
        table["pitch_angles"] |= taken_away
        return tomli_w.dumps(table)


def load_config(path: Path | str | None, overrides: tuple[str, ...] = ()) -> Config:
    """Read, complete and check the settings.

    `path` is a TOML file (None: `spectro-mpi.toml` in the current directory); each of
    `overrides` is `key.path=value`, its value TOML (a bare word counts as a string).
    Raises `SettingsError` with a line for every mistake.
    """
    path = Path(DEFAULT_FILE) if path is None else Path(path)
    table = _read_toml(path)
    for override in overrides:
        _apply_override(table, override)
    return config_from(table, base=path.absolute().parent, where=str(path))


def config_from(table: dict[str, Any], base: Path, where: str = "settings") -> Config:
    """Check a table of settings; relative paths in it are relative to `base`."""
    table = dict(table)
    given = table.get("pitch_angles", {})
    if isinstance(given, dict):
        # An empty list takes a category away.
        merged = {**_PITCH_ANGLES, **given}
        table["pitch_angles"] = {k: v for k, v in merged.items() if v != []}
    _select_all_instruments(table)
    for name, key in (("select", "orbits"), ("slurm", "time")):
        part = table.get(name)
        if isinstance(part, dict) and type(part.get(key)) is int:
            # A single orbit, or minutes, look like a number and need no quotes.
            table[name] = part | {key: str(part[key])}
    if isinstance(table.get("axes"), dict):
        table["axes"] = _flatten_axes(table["axes"])
    mistakes: list[str] = []
    config = _validate(table, mistakes)
    if config is not None:
        mistakes += _check_meaning(config)
    if mistakes or config is None:
        raise SettingsError("\n".join(f"{where}: {mistake}" for mistake in mistakes))
    plot = config.plot
    if plot.events:
        plot = replace(plot, events=str((base / plot.events).resolve()))
    return replace(
        config,
        input=str((base / config.input).resolve()),
        output=str((base / config.output).resolve()),
        phases=tuple(_with_path(entry, base) for entry in config.phases),
        plot=plot,
    )


def differing_keys(old: Config, new: Config) -> list[str]:
    """Dotted keys whose values differ, sorted."""
    before, after = _flat(asdict(old)), _flat(asdict(new))
    return sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))


def _read_toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        # Editors of some systems put a mark before the first letter.
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        return table
    except FileNotFoundError:
        raise SettingsError(
            f"{path}: there is no such settings file; "
            "name one, or make one with `spectro-mpi demo DIR`"
        ) from None
    except IsADirectoryError:
        raise SettingsError(f"{path}: is a directory; a settings file (TOML) is wanted") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: is not valid TOML: {error}") from None


def _apply_override(table: dict[str, Any], override: str) -> None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    key, equals, value = override.partition("=")
    try:
        if not equals:
            raise ValueError
        parts = _path_of(tomllib.loads(f"{key} = 0"))
    except ValueError:
        raise SettingsError(
            f"-s {override}: is not of the form key=value, as in plot.dpi=100"
        ) from None
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        # On a shell's command line quotes get lost: a bare word is a string.
        parsed = value.strip()
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise SettingsError(f"-s {override}: {part} is a value, not a table")
    table[parts[-1]] = parsed


def _path_of(table: dict[str, Any]) -> list[str]:
    """The key of a table of tables of one value, part by part."""
    path = []
    value: Any = table
    while isinstance(value, dict):
        ((key, value),) = value.items()
        path.append(key)
    return path


def _validate(table: dict[str, Any], mistakes: list[str]) -> Config | None:
    # Heavy to import, and wanted on one rank only.
    from pydantic import TypeAdapter, ValidationError

    try:
        # As JSON, so that arrays may become tuples although types are strict.
        return TypeAdapter(Config).validate_json(json.dumps(table, default=str), strict=True)
    except ValidationError as error:
        places = [one["loc"] for one in error.errors()]
        for one in error.errors():
            # A list counts as too short when its entries are wrong: tell the entries.
            if not any(place[: len(one["loc"])] == one["loc"] != place for place in places):
                mistakes.append(_sentence(one))
        return None


def _sentence(error: Any) -> str:
    """One mistake found by pydantic, in our words."""
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "unexpected_keyword_argument":
        return f"{key}: there is no such setting{_nearest(error['loc'])}"
    value = json.dumps(error["input"])
    if error["type"] == "missing":
        return f"{key}: is missing"
    if error["type"] in ("too_short", "too_long"):
        bounds = error["ctx"]
        wanted = bounds.get("min_length", bounds.get("max_length"))
        return f"{key} = {value}: {wanted} values are wanted, not {bounds['actual_length']}"
    return f"{key} = {value}: {str(error['msg']).replace('Input should', 'should')}"


def _nearest(loc: tuple[str | int, ...]) -> str:
    """A hint at the known key nearest to the unknown one at `loc`."""
    known = _known_keys(Config)
    if loc[0] == "axes":
        known += _known_keys(Axes, ".".join(str(part) for part in (*loc[:-1], "")))
    unknown = ".".join(part for part in loc if isinstance(part, str))
    by_name = {key.rpartition(".")[2]: key for key in known}
    here = [key for key in known if key.rpartition(".")[0] == unknown.rpartition(".")[0]]
    match = difflib.get_close_matches(unknown, here, 1, 0.6)
    if not match:
        names = difflib.get_close_matches(str(loc[-1]), list(by_name), 1, 0.7)
        match = [by_name[name] for name in names]
    return f"; is {match[0]} meant?" if match else ""


def _known_keys(kind: Any, prefix: str = "") -> list[str]:
    keys = []
    hints = get_type_hints(kind)
    for one in fields(kind):
        keys.append(prefix + one.name)
        # A table, or a list of tables.
        for inner in (hints[one.name], *get_args(hints[one.name])):
            if is_dataclass(inner):
                keys += _known_keys(inner, f"{prefix}{one.name}.")
    return keys


def _check_meaning(config: Config) -> list[str]:
    """What types and ranges cannot say."""
    mistakes = []
    if not config.run_id or not set(config.run_id) <= _RUN_ID_LETTERS or config.run_id[0] == ".":
        mistakes.append(
            f'run_id = "{config.run_id}": letters, digits, ".", "_" and "-" are allowed, '
            "and no dot at the start"
        )
    try:
        _ = config.select.orbit_ranges
    except ValueError as error:
        mistakes.append(f'select.orbits = "{config.select.orbits}": {error}')
    mistakes += _check_instruments(config)
    share = config.select.share
    if share and not re.fullmatch(r"[1-9]\d*/[1-9]\d*", share):
        mistakes.append(f'select.share = "{share}": should be such as "2/4"')
    elif config.select.share_of[0] >= config.select.share_of[1]:
        mistakes.append(f'select.share = "{share}": there are not so many shares')
    if "all" not in config.pitch_angles:
        mistakes.append("pitch_angles.all: cannot be taken away; common limits are made from it")
    for name, intervals in config.pitch_angles.items():
        if not name or not set(name) <= _RUN_ID_LETTERS:
            mistakes.append(f'pitch_angles."{name}": letters, digits, ".", "_" and "-" are allowed')
        for lo, hi in intervals:
            if lo >= hi:
                mistakes.append(
                    f"pitch_angles.{name} = [{lo:g}, {hi:g}]: an interval goes upward within 0 to "
                    f"360; across 0, write [{lo:g}, 360] and [0, {hi:g}]"
                )
    for name, listed in (
        ("phases", config.phases),
        ("plot.scales", config.plot.scales),
        ("plot.limits", config.plot.limits),
        ("plot.kinds", config.plot.kinds),
    ):
        if len(set(listed)) < len(listed):
            mistakes.append(f"{name}: names the same twice")
    mistakes += _check_slurm(config.slurm)
    mistakes += _check_size(
        config.plot, max(len(config.pitch_angles), len(config.select.instruments))
    )
    for name, axes in config.axes.items():
        mistakes += _check_axes(name, axes, config)
    return mistakes


def _select_all_instruments(table: dict[str, Any]) -> None:
    """With tables of instruments and no selection, all of these are meant."""
    tables, select = table.get("instrument"), table.get("select", {})
    if isinstance(tables, list) and isinstance(select, dict) and not select.get("instruments"):
        names = [one.get("name") for one in tables if isinstance(one, dict)]
        if names:
            table["select"] = select | {"instruments": list(dict.fromkeys(filter(None, names)))}


def _check_instruments(config: Config) -> list[str]:
    mistakes = list(mistakes_of(config.instrument))
    if config.data.preset == "fast-esa":
        if config.instrument:
            mistakes.append('[[instrument]] tables are for data.preset = "istp"')
        mistakes += [
            f'select.orbits = "{config.select.orbits}": "{name}" is neither an orbit nor a range '
            "such as 13312-13400"
            for name in sorted(config.select.names)
        ]
    elif not config.instrument:
        mistakes.append(
            'data.preset = "istp" wants [[instrument]] tables; `spectro-mpi inspect FILE` '
            "prints them for a file"
        )
    if len(set(config.select.instruments)) < len(config.select.instruments):
        mistakes.append("select.instruments: names the same twice")
    mistakes += [
        f'select.instruments: no instrument is called "{name}"; {config.instruments}'
        for name in config.select.instruments
        if name not in config.instruments and config.instruments
    ]
    return mistakes


def _check_slurm(slurm: Slurm) -> list[str]:
    mistakes = []
    if slurm.time:
        try:
            seconds_of(slurm.time)
        except ValueError as error:
            mistakes.append(f"slurm.time: {error}")
    for name in ("partition", "account", "mpi"):
        word = getattr(slurm, name)
        if len(word.split()) > 1 or word != word.strip():
            mistakes.append(f"slurm.{name} = {json.dumps(word)}: one word is wanted")
    mistakes += [
        f'slurm.extra: {json.dumps(one)} is no option of sbatch such as "--mem-per-cpu=2G"'
        for one in slurm.extra
        if not one.startswith("-") or "\n" in one
    ]
    return mistakes


def _check_size(plot: Plot, rows: int) -> list[str]:
    width, height = (plot.dpi * inches for inches in plot.panel_size)
    if width * height * rows <= _MOST_PIXELS:
        return []
    return [
        f"plot.dpi = {plot.dpi}, plot.panel_size = {list(plot.panel_size)}: with {rows} rows a "
        f"figure would have {width:.0f} × {rows * height:.0f} pixels; "
        f"{_MOST_PIXELS / 1e6:.0f} million are the most"
    ]


def _check_axes(name: str, axes: Axes, config: Config) -> list[str]:
    mistakes = []
    instrument, _, category = name.partition(".")
    if instrument not in config.instruments:
        mistakes.append(f"axes.{name}: no instrument is called {instrument}; {config.instruments}")
    if category and category not in config.pitch_angles:
        mistakes.append(f"axes.{name}: no pitch-angle category is called {category}")
    for letter, index in (("y", 0), ("z", 1)):
        low, high = getattr(axes, f"{letter}_min"), getattr(axes, f"{letter}_max")
        if low is not None and high is not None and not low < high:
            mistakes.append(
                f"axes.{name}: {letter}_min = {low:g} is not below {letter}_max = {high:g}"
            )
        on_log = any(scales[index] == "log" for scales in config.plot.scales)
        for end, value in (("min", low), ("max", high)):
            if value is not None and (value <= 0 if on_log else end == "max" and value <= 0):
                mistakes.append(
                    f"axes.{name}.{letter}_{end} = {value:g}: a value above 0 is wanted"
                )
    return mistakes


def _flatten_axes(axes: dict[str, Any]) -> dict[str, Any]:
    """[axes.ees.upgoing] and [axes."ees.upgoing"] → "ees.upgoing"; [axes.ees] → "ees"."""
    limits = {one.name for one in fields(Axes)}
    flat: dict[str, Any] = {}
    for name, table in axes.items():
        if not isinstance(table, dict):
            flat[name] = table
            continue
        own = {k: v for k, v in table.items() if k in limits or not isinstance(v, dict)}
        if own or not table:
            flat[name] = own
        flat |= {f"{name}.{k}": v for k, v in table.items() if k not in own}
    return flat


def _with_path(entry: str, base: Path) -> str:
    """An entry of `phases` that names a file, with its whole path."""
    path, colon, name = entry.rpartition(":")
    return f"{(base / path).resolve()}:{name}" if colon and path.endswith(".py") else entry


def _orbit_range(part: str) -> tuple[int, int]:
    first, dash, last = (word.strip() for word in part.partition("-"))
    low, high = int(first), int(last) if dash else int(first)
    if low > high:
        raise ValueError(f'"{part.strip()}" goes downward')
    return low, high


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(one) for key, one in value.items() if one is not None}
    if isinstance(value, tuple | list):
        return [_without_none(one) for one in value]
    return value


_RANGE = re.compile(r"\d+(\s*-\s*\d+)?", re.ASCII)
_RUN_ID_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
