"""Checks of settings beyond types and ranges, with one sentence for each mistake."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from spectro_mpi.errors import UserError
from spectro_mpi.inert import is_inert
from spectro_mpi.settings.angles import BY_ANGLE, mistakes_of_bands
from spectro_mpi.settings.archive_layout import Layout, check_address, divided
from spectro_mpi.settings.atlas_layers import mistakes_of_atlas
from spectro_mpi.settings.direction import Direction, mistakes_of_direction
from spectro_mpi.settings.ephemeris import NONE, mistakes_of_ephemeris
from spectro_mpi.settings.fetch import FetchSettings
from spectro_mpi.settings.instrument_table import mistakes_of
from spectro_mpi.settings.moments import mistakes_of_moments
from spectro_mpi.settings.presets import preset_named
from spectro_mpi.settings.schema import (
    AxisLimits,
    Config,
    DataSettings,
    JobSettings,
    PlotSettings,
)
from spectro_mpi.settings.selection import SelectSettings
from spectro_mpi.settings.summary import (
    SERIES,
    alternatives_of,
    mistakes_of_row,
    mistakes_of_summary,
    series_in,
)
from spectro_mpi.settings.superpose import mistakes_of_superpose
from spectro_mpi.system.scheduler.walltime import seconds_of
from spectro_mpi.system.words import choices, nearest

MOST_PIXELS = 250_000_000
"""Pixels of a figure; PNG readers refuse larger images as a possible attack."""
RUN_ID_LETTERS = 'only letters, digits, ".", "_" and "-", and no dot at the start'
"""What a run id consists of, in messages."""


def is_run_id(name: str) -> bool:
    """Whether a name can be a `run_id`."""
    return bool(name) and set(name) <= _RUN_ID_LETTERS and name[0] != "."


def _check_meaning(config: Config) -> list[str]:
    """The mistakes that types and ranges cannot express, a sentence each."""
    try:
        preset_named(config.data.preset)
    except UserError as error:
        return [str(error)]
    mistakes = []
    if not is_run_id(config.run_id):
        mistakes.append(f'run_id = "{config.run_id}": use {RUN_ID_LETTERS}')
    mistakes += [*_check_select(config.select), *_check_cadence(config.data)]
    mistakes += _check_instruments(config)
    mistakes += _check_categories(config)
    for name, listed in (
        ("phases", config.phases),
        ("plot.scales", config.plot.scales),
        ("plot.limits", config.plot.limits),
        ("plot.kinds", config.plot.kinds),
        ("plot.formats", config.plot.formats),
        ("plot.ephemeris", config.plot.ephemeris),
    ):
        if len(set(listed)) < len(listed):
            mistakes.append(f"{name}: lists the same entry twice")
    low, high = config.extrema.min_percentile, config.extrema.max_percentile
    if low >= high:
        mistakes.append(
            f"extrema.min_percentile = {low:g}: must be below extrema.max_percentile = {high:g}"
        )
    mistakes += [*_check_bands(config), *_check_ephemeris(config)]
    mistakes += [*_check_summary(config), *_check_fixed_axes(config)]
    mistakes += mistakes_of_moments(config.moments, config.instruments)
    mistakes += mistakes_of_atlas(config)
    mistakes += mistakes_of_superpose(
        config.superpose, "superpose" in config.phases, config.plot.events
    )
    mistakes += _check_job("slurm", config.slurm, 'an sbatch option such as "--mem-per-cpu=2G"')
    mistakes += _check_job("pbs", config.pbs, 'a qsub option such as "-P project"')
    if config.pbs.mpi:
        mistakes.append("pbs.mpi: has no meaning; the ranks are started by mpirun")
    mistakes += _check_fetch(config.fetch)
    rows = max(len(config.pitch_angles), len(config.select.instruments))
    if "summary" in config.plot.kinds:
        rows = max(rows, -(-len(config.summary) // 2))  # rows of summaries are half as high
    mistakes += _check_figures(config.plot, rows)
    for name, axes in config.axes.items():
        mistakes += _check_axes(name, axes, config)
    return mistakes


def _check_categories(config: Config) -> list[str]:
    mistakes = []
    if "all" not in config.pitch_angles:
        mistakes.append(
            "pitch_angles.all: cannot be removed; the common limits are computed from it"
        )
    for name, intervals in config.pitch_angles.items():
        if not name or not set(name) <= _RUN_ID_LETTERS:
            mistakes.append(
                f'pitch_angles."{name}": use only letters, digits, ".", "_" and "-" in the name'
            )
        if name in SERIES:
            mistakes.append(f"pitch_angles.{name}: this name is that of a moment; choose another")
        if isinstance(intervals, Direction):
            mistakes += mistakes_of_direction(name, intervals)
            continue
        for lo, hi in intervals:
            if lo >= hi:
                pairs = ", ".join(f"[{low:g}, {high:g}]" for low, high in intervals)
                mistakes.append(
                    f"pitch_angles.{name} = [{pairs}]: an interval must ascend within 0 to 360; "
                    f"across 0, write [{lo:g}, 360] and [0, {hi:g}]"
                )
    return mistakes


def _check_bands(config: Config) -> list[str]:
    mistakes = list(mistakes_of_bands("angles", config.angles.bands, config.instruments))
    has_bands = any(map(config.bands, config.select.instruments))
    if "angle" in config.plot.kinds and not has_bands:
        mistakes.append('plot.kinds: "angle" needs angles.bands of an instrument with pitch_angle')
    return mistakes


def _check_summary(config: Config) -> list[str]:
    entries = config.plot.summary
    bands = {
        name: [f"{low:g}-{high:g}" for low, high in config.bands(name)]
        for name in config.instruments
    }
    found = mistakes_of_summary(entries, config.instruments, config.pitch_angles, bands)
    mistakes = list(dict.fromkeys(found))
    if len(set(map(alternatives_of, entries))) < len(entries):
        mistakes.append("plot.summary: lists the same panel twice")
    if "summary" in config.plot.kinds and not config.summary:
        mistakes.append(
            f'plot.kinds: "summary" needs plot.summary, since data.preset = "{config.preset.name}" '
            "has no panels of its own"
        )
    return mistakes


def _check_fixed_axes(config: Config) -> list[str]:
    name = config.plot.axes
    if name == PlotSettings.axes:
        return []
    fixed = config.fixed_axes
    if fixed is None:
        return [
            f'plot.axes = "{name}": data.preset = "{config.preset.name}" has no such axes; leave '
            "it out, and set limits in [axes]"
        ]
    if config.data.quantity != fixed.quantity:
        return [
            f'plot.axes = "{name}": is for data.quantity = "{fixed.quantity}", not '
            f'"{config.data.quantity}"; leave it out, and set limits in [axes]'
        ]
    return []


def _check_ephemeris(config: Config) -> list[str]:
    mistakes = list(mistakes_of_ephemeris(config.ephemeris))
    if not config.ephemeris_file:
        mistakes += [
            f"pitch_angles.{name}: a direction needs an ephemeris; set ephemeris.file"
            for name in config.directions
        ]
    known = config.ephemeris.variables
    quantities = [table.dataset for table in config.instrument] or [config.data.quantity]
    stored = {name for quantity in quantities for name in (quantity, f"{quantity}_error")}
    if config.ephemeris_file:
        mistakes += [
            f"ephemeris.variables.{name}: this name is that of the values in the store; choose "
            "another"
            for name in known
            if name in stored
        ]
    mistakes += [
        f'plot.ephemeris: "{name}" is not in ephemeris.variables; choose from {", ".join(known)}'
        for name in config.plot.ephemeris
        if name not in known and config.plot.ephemeris != PlotSettings.ephemeris
    ]
    return mistakes


def _check_select(select: SelectSettings) -> list[str]:
    mistakes = _check_times(select)
    try:
        _ = select.orbit_ranges
    except ValueError as error:
        mistakes.append(f'select.orbits = "{select.orbits}": {error}')
    if select.share and not re.fullmatch(r"[1-9]\d*/[1-9]\d*", select.share):
        mistakes.append(f'select.share = "{select.share}": expected a share such as "2/4"')
    elif select.share_of[0] >= select.share_of[1]:
        mistakes.append(
            f'select.share = "{select.share}": the first number must not exceed the second'
        )
    return mistakes


def _check_times(select: SelectSettings) -> list[str]:
    mistakes = []
    for name in ("start", "stop"):
        try:
            _ = replace(SelectSettings(), **{name: getattr(select, name)}).times
        except ValueError:
            mistakes.append(
                f'select.{name} = "{getattr(select, name)}": expected a date or time such as '
                '"2000-01-01" or "2000-01-01T06:00:00"'
            )
    if not mistakes:
        first, last = select.times
        if first and last and first >= last:
            mistakes.append(
                f'select.start = "{select.start}" is not before select.stop = "{select.stop}"'
            )
    return mistakes


def _check_cadence(data: DataSettings) -> list[str]:
    try:
        _ = data.cadence_micros
    except ValueError as error:
        return [f'data.cadence = "{data.cadence}": {error}']
    return []


def _check_instruments(config: Config) -> list[str]:
    mistakes = list(mistakes_of(config.instrument))
    preset = config.preset
    quantities = preset.quantities or (DataSettings.quantity,)
    if config.data.quantity not in quantities:
        mistakes.append(
            f'data.quantity = "{config.data.quantity}": should be '
            f'{" or ".join(map(repr, quantities))} with data.preset = "{preset.name}"'
            f"{nearest(config.data.quantity, quantities)}"
        )
    if not preset.by_tables and config.instrument:
        mistakes.append('[[instrument]] tables need data.preset = "istp"')
    if preset.items_are_orbits:
        mistakes += [
            f'select.orbits = "{config.select.orbits}": "{name}" is neither an orbit nor a range '
            "such as 13312-13400; separate several by commas"
            for name in sorted(config.select.names)
        ]
        mistakes += [
            f'select.skip: "{name}" is no orbit; name each one by itself'
            for name in map(str, config.select.skip)
            if not name.isdecimal()
        ]
    if preset.by_tables and not config.instrument:
        mistakes.append(
            f'data.preset = "{preset.name}" needs [[instrument]] tables; '
            "`spectro-mpi inspect FILE` prints them for a file"
        )
    if len(set(config.select.instruments)) < len(config.select.instruments):
        mistakes.append("select.instruments: lists the same entry twice")
    mistakes += [
        f'select.instruments: no instrument is called "{name}"; {choices(name, config.instruments)}'
        for name in config.select.instruments
        if name not in config.instruments and config.instruments
    ]
    return mistakes


def _check_job(table: str, job: JobSettings, option_like: str) -> list[str]:
    mistakes = []
    if job.time:
        try:
            seconds_of(job.time)
        except ValueError as error:
            mistakes.append(f"{table}.time: {error}")
    for name in ("time", "partition", "account", "mpi"):
        word = getattr(job, name)
        if not set(word) <= _WORD_LETTERS:
            mistakes.append(
                f"{table}.{name} = {json.dumps(word)}: expected one word of letters, digits and "
                "any of " + " ".join(sorted(_WORD_LETTERS - _RUN_ID_LETTERS)) + " . _ -"
            )
    mistakes += [
        f"{table}.extra: {json.dumps(option)} is not {option_like}"
        for option in job.extra
        if not option.startswith("-") or not is_inert(option)
    ]
    return mistakes


def _check_fetch(fetch: FetchSettings) -> list[str]:
    mistakes = []
    if fetch.url:
        try:
            check_address(fetch.url)
        except ValueError as error:
            mistakes.append(f"fetch.url = {json.dumps(fetch.url)}: {error}")
    try:
        Layout(fetch.folders)
    except ValueError as error:
        mistakes.append(f"fetch.folders = {json.dumps(fetch.folders)}: {error}")
    if fetch.ephemeris not in ("", NONE):
        try:
            url, folders = divided(fetch.ephemeris)
            check_address(url)
            Layout(folders)
        except ValueError as error:
            mistakes.append(f"fetch.ephemeris = {json.dumps(fetch.ephemeris)}: {error}")
    return mistakes


def _check_figures(plot: PlotSettings, rows: int) -> list[str]:
    mistakes = []
    if "png" not in plot.formats:
        mistakes.append('plot.formats: lacks "png", which the report and `verify` read')
    width, height = (plot.dpi * inches for inches in plot.panel_size)
    if width * height * rows <= MOST_PIXELS:
        return mistakes
    return [
        *mistakes,
        f"plot.dpi = {plot.dpi}, plot.panel_size = {list(plot.panel_size)}: with {rows} rows a "
        f"figure would have {width:.0f} × {rows * height:.0f} pixels; "
        f"the maximum is {MOST_PIXELS / 1e6:.0f} million",
    ]


def _check_axes(name: str, axes: AxisLimits, config: Config) -> list[str]:
    mistakes = []
    instrument, _, category = name.partition(".")
    if series_in(instrument):
        return _check_axes_of_line(name, axes, config)
    is_by_angle = instrument.endswith(BY_ANGLE)
    instrument = instrument.removesuffix(BY_ANGLE)
    if instrument not in config.instruments:
        mistakes.append(
            f"axes.{name}: no instrument is called {instrument}; "
            f"{choices(instrument, config.instruments)}"
        )
    if is_by_angle:
        bands = [f"{low:g}-{high:g}" for low, high in config.bands(instrument)]
        if category and category not in bands:
            mistakes.append(f"axes.{name}: no band is called {category}; {', '.join(bands)} are")
    elif category and category not in config.pitch_angles:
        hint = nearest(category, list(config.pitch_angles))
        mistakes.append(f"axes.{name}: no pitch-angle category is called {category}{hint}")
    whole = config.axes.get(name.partition(".")[0], AxisLimits())
    for letter, index in (("y", 0), ("z", 1)):
        ends = f"{letter}_min", f"{letter}_max"
        low, high = (getattr(axes, end) for end in ends)
        # A category takes what its table leaves out from that of the instrument.
        least, most = (
            getattr(whole, end) if limit is None else limit
            for end, limit in zip(ends, (low, high), strict=True)
        )
        is_set = low is not None or high is not None
        if is_set and least is not None and most is not None and not least < most:
            mistakes.append(
                f"axes.{name}: {letter}_min = {least:g} is not below {letter}_max = {most:g}"
            )
        if _is_log(config, instrument, index) and not (is_by_angle and letter == "y"):
            mistakes += [
                f"axes.{name}.{letter}_{end} = {value:g}: expected a value above 0, since that "
                "axis is logarithmic"
                for end, value in (("min", low), ("max", high))
                if value is not None and value <= 0
            ]
    return mistakes


def _check_axes_of_line(name: str, axes: AxisLimits, config: Config) -> list[str]:
    """The mistakes in limits of a line, which has a vertical axis only."""
    group, _, direction = name.partition(".")
    instrument, series = group.partition("-")[0], series_in(group)
    mistakes = []
    if instrument not in config.instruments:
        mistakes.append(
            f"axes.{name}: no instrument is called {instrument}; "
            f"{choices(instrument, config.instruments)}"
        )
    mistakes += [f"axes.{name}: {mistake}" for mistake in mistakes_of_row(series, direction)]
    if axes.z_min is not None or axes.z_max is not None:
        mistakes.append(f"axes.{name}: a line has no colours; set y_min and y_max")
    low, high = axes.y_min, axes.y_max
    if low is not None and high is not None and not low < high:
        mistakes.append(f"axes.{name}: y_min = {low:g} is not below y_max = {high:g}")
    if SERIES[series] == "log":
        mistakes += [
            f"axes.{name}.y_{end} = {value:g}: expected a value above 0, since that axis is "
            "logarithmic"
            for end, value in (("min", low), ("max", high))
            if value is not None and value <= 0
        ]
    return mistakes


def _is_log(config: Config, instrument: str, index: int) -> bool:
    """Whether an instrument's axis (0: energy, 1: colours) is certainly logarithmic somewhere.

    Without a scale in its table, a file of any mission may say that an axis is linear.
    """
    if config.preset.by_tables:
        scales = {table.name: (table.y_scale, table.z_scale)[index] for table in config.instrument}
        return scales.get(instrument) == "log"
    return any(pair[index] == "log" for pair in config.plot.scales)


_RUN_ID_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_WORD_LETTERS = _RUN_ID_LETTERS | frozenset("+,/:=@%")
"""Letters of the names of partitions, accounts and types of MPI; none means anything to a shell."""
