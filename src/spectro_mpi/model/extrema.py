"""Axis limits: common to all items, from their merged tallies, or of one spectrogram.

Pure array science: no files, no MPI. Values are physical (eV, counts), never log10 of them. Energy
axes enclose whole channels, so energies are counted by the edges of channels (`levels.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from itertools import product

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.fixed_axes import common_extrema
from spectro_mpi.model.levels import Levels, count_levels, edge_range
from spectro_mpi.model.line_limits import line_limits, own_line_limits
from spectro_mpi.model.samples import grouping_of, samples_of
from spectro_mpi.model.spectrogram import Spectrogram, drawn_scales
from spectro_mpi.model.tally import Tallies, Tally, interpolated
from spectro_mpi.settings.angles import BY_ANGLE
from spectro_mpi.settings.schema import AxisLimits, Config, ExtremaSettings, ScalePair
from spectro_mpi.settings.summary import series_in

WHOLE = "all"
"""The category from which an instrument's limits are computed."""
_RAW_PERCENTILES = (1, 99)
_ENDS = ("y_min", "y_max", "z_min", "z_max")
"""The fields of `Limits`, in order."""
_AXES = (("y_min", "y_max"), ("z_min", "z_max"))
"""The ends of each axis."""


@dataclass(frozen=True)
class Limits:
    """Axis limits of one panel, physical values: y in eV, z in counts or eflux units."""

    y_min: float
    y_max: float
    z_min: float
    z_max: float


def flat_extrema(
    tallies: Tallies, scales: Collection[ScalePair], settings: ExtremaSettings
) -> dict[str, float]:
    """The extrema, with flat keys `{instrument}[-{category}]_{y}_{z}_{y|z}_{min|max}`.

    y_min and y_max are edges of channels (`Levels.limits`). On a log colour scale z_min and z_max
    are the `min_percentile`-th and `max_percentile`-th percentile of the positive cells. On a
    linear one they are 0 and the latter; if any cell is negative or none is positive, they are the
    percentiles of all finite cells. Where an instrument is drawn with other scales than the pair's,
    the limits under the pair's names are for those. An instrument (or category) without a cell that
    counts has no keys. A series (`model.series`) has keys of its y axis only.
    """
    flat: dict[str, float] = {}
    for (instrument, category), counts in sorted(tallies.items()):
        if series_in(instrument):
            ends = zip(_ENDS, line_limits(counts) or (), strict=False)
            name = instrument if category == WHOLE else f"{instrument}-{category}"
            for (y_scale, z_scale), (end, limit) in product(scales, list(ends)):
                flat[f"{name}_{y_scale}_{z_scale}_{end}"] = limit
            continue
        names = [f"{instrument}-{category}"] + ([instrument] if category == WHOLE else [])
        by_scale = {
            scale: _z_limits(counts, scale, settings)
            for scale in {counts.z_scale or z_scale for _, z_scale in scales}
        }
        for y_scale, z_scale in scales:
            y_limits = counts.levels.limits(counts.y_scale or y_scale, settings.energy_coverage)
            z_limits = by_scale[counts.z_scale or z_scale]
            if y_limits is None or z_limits is None:
                continue
            limits = dict(zip(_ENDS, (*y_limits, *z_limits), strict=True))
            for name in names:
                flat |= {f"{name}_{y_scale}_{z_scale}_{end}": limits[end] for end in limits}
    return dict(sorted(flat.items()))


def panel_limits(
    config: Config,
    extrema: Mapping[str, float],
    spectrogram: Spectrogram,
    row: int,
    scales: ScalePair,
    limits: str,
) -> Limits:
    """The limits of one row in a figure of the pair `scales`; `limits` as in `plot.limits`.

    "raw": those of the row's own data (`raw_limits`). Else the common ones and those set by hand
    (`given_limits`), and the row's own where neither is known. A row without a cell that counts has
    `empty_limits` for its own.
    """
    drawn = drawn_scales(spectrogram.legend, scales)

    def own() -> Limits:
        if spectrogram.is_line:
            ends = own_line_limits(spectrogram.values, drawn[0])
            return _rounded(*ends, 0.0, 1.0)
        computed = raw_limits(spectrogram, row, drawn, config.extrema.energy_coverage)
        return _of_circle(computed or empty_limits(spectrogram, drawn), spectrogram)

    if limits == "raw":
        return own()
    instrument, category = spectrogram.instrument, spectrogram.category[row]
    by_category = config.plot.category_limits
    given = given_limits(
        extrema, config.axes, instrument, category, scales, by_category, drawn, own
    )
    if given is None:
        return own()
    by_hand = _by_hand(config.axes, instrument, category)
    return _of_circle(given, spectrogram, by_hand)


def _of_circle(limits: Limits, spectrogram: Spectrogram, by_hand: Collection[str] = ()) -> Limits:
    """Limits of a pitch-angle spectrogram with the whole circle, or half of it, but for those set
    by hand; of any other as they are."""
    if spectrogram.legend.axis != "angle":
        return limits
    ends = {"y_min": 0.0, "y_max": float(spectrogram.edges.max())}
    return replace(limits, **{end: value for end, value in ends.items() if end not in by_hand})


def shared_limits(
    config: Config,
    extrema: Mapping[str, float],
    layers: Sequence[tuple[Spectrogram, int]],
    scales: ScalePair,
    limits: str,
) -> Limits:
    """The limits of a panel that shows rows of several spectrograms: they cover those of each.

    `layers` are spectrograms with the places of their rows. An end that is set by hand for any of
    them is kept exactly; of several, the outermost.
    """
    rows = [panel_limits(config, extrema, *layer, scales, limits) for layer in layers]
    if len(rows) == 1:
        return rows[0]
    fixed: dict[str, list[float]] = {}
    for spectrogram, row in layers if limits != "raw" else ():
        by_hand = _by_hand(config.axes, spectrogram.instrument, spectrogram.category[row])
        for end, (_, value) in by_hand.items():
            if _can_show(end, value, drawn_scales(spectrogram.legend, scales)):
                fixed.setdefault(end, []).append(value)
    values = {}
    for end in _ENDS:
        ends = fixed.get(end) or [getattr(row_limits, end) for row_limits in rows]
        values[end] = min(ends) if end.endswith("min") else max(ends)
    for low, high in _AXES:
        pair = values[low], values[high]
        values[low], values[high] = in_order(*pair, low in fixed, high in fixed)
    return Limits(**values)


def with_lines(
    config: Config,
    extrema: Mapping[str, float],
    limits: Limits,
    lines: Sequence[tuple[str, str]],
    scales: ScalePair,
) -> Limits:
    """Limits of a panel that cover the common ones of all `lines` that it may show.

    `lines` are names in the extrema, and categories. An end that is set by hand is kept.
    """
    values = {}
    for end, outermost in (("y_min", min), ("y_max", max)):
        ends = [getattr(limits, end)]
        for name, category in lines:
            if end in _by_hand(config.axes, name, category):
                return limits
            common = _common(extrema, name, category, scales, config.plot.category_limits)
            ends += [common[end]] if end in common else []
        values[end] = outermost(ends)
    return replace(limits, **values)


def notes_on_limits(
    config: Config,
    extrema: Mapping[str, float],
    spectrogram: Spectrogram,
    row: int,
    scales: ScalePair,
) -> Iterator[str]:
    """Notes on the limits, common and set by hand, that a row's log axes cannot have."""
    drawn = drawn_scales(spectrogram.legend, scales)
    instrument, category = spectrogram.instrument, spectrogram.category[row]
    for end, (name, value) in _by_hand(config.axes, instrument, category).items():
        if not _can_show(end, value, drawn):
            yield f"axes.{name}.{end} = {value:g} cannot be shown on a log axis"
    common = _common(extrema, instrument, category, scales, config.plot.category_limits)
    for low, words in (("y_min", f"{spectrogram.legend.axis} limits"), ("z_min", "colour limits")):
        if low in common and not _can_show(low, common[low], drawn):
            yield f"{instrument}: {words} of this row alone; the common ones are for a linear axis"


def basis_of_limits(
    config: Config,
    extrema: Mapping[str, float],
    instrument: str,
    category: str,
    scales: ScalePair,
) -> object:
    """What common limits of a row and the notes on them depend on, besides its own data.

    An extremum that a limit set by hand replaces on any axis is not in it if it is positive. One
    that is not makes the row's own data decide, and a note say so.
    """
    common = _common(extrema, instrument, category, scales, config.plot.category_limits)
    by_hand = _by_hand(config.axes, instrument, category)
    replaced = {end for end, (_, value) in by_hand.items() if value > 0}
    ends = {end: value for end, value in common.items() if end not in replaced or value <= 0}
    known = [*(ends.items()), *((end, value) for end, (_, value) in by_hand.items())]
    # Limits that are not known, or that a log axis cannot have, are those of the row's own data.
    is_common = len(dict(known)) == len(_ENDS) and all(value > 0 for _, value in known)
    coverage = None if is_common else config.extrema.energy_coverage
    return sorted(ends.items()), sorted(by_hand.items()), coverage


def given_limits(
    extrema: Mapping[str, float],
    axes: Mapping[str, AxisLimits],
    instrument: str,
    category: str,
    scales: ScalePair,
    category_limits: str,
    drawn: ScalePair | None = None,
    own: Callable[[], Limits] | None = None,
) -> Limits | None:
    """The common limits of one row: the extrema rounded outward, overridden by `axes` (exactly).

    On an axis that is logarithmic in `drawn` (None: as in `scales`), a limit in `axes` that is not
    positive is left out, and so are extrema that begin at 0 or below: those of an instrument of
    which some files are drawn on a linear axis. A limit that is in neither is that of `own`; None
    without it (no item has a cell that counts).
    """
    drawn = drawn or scales
    values = _common(extrema, instrument, category, scales, category_limits)
    for low, high in _AXES:
        if low in values and not _can_show(low, values[low], drawn):
            del values[low], values[high]
    fixed = {
        end: value
        for end, (_, value) in _by_hand(axes, instrument, category).items()
        if _can_show(end, value, drawn)
    }
    values |= fixed
    if len(values) < len(_ENDS):
        if own is None:
            return None
        values = asdict(own()) | values
    for low, high in _AXES:
        ends = values[low], values[high]
        values[low], values[high] = in_order(*ends, low in fixed, high in fixed)
    return Limits(**values)


def common_limits(
    config: Config, extrema: Mapping[str, float], spectrogram: Spectrogram
) -> dict[str, Limits]:
    """Category, or energy band, → the common limits (`given_limits`) of the first scale pair.

    Rows of which no limits are known are left out.
    """
    pair, limits = config.plot.scales[0], {}
    extrema = common_extrema(config, extrema)
    for each in filter(None, (spectrogram, spectrogram.by_angle)):
        drawn = drawn_scales(each.legend, pair)
        for row in each.category:
            by_category = config.plot.category_limits
            known = given_limits(
                extrema, config.axes, each.instrument, row, pair, by_category, drawn
            )
            if known is not None:
                limits[row] = _of_circle(known, each)
    return limits


def in_order(
    low: float, high: float, is_low_fixed: bool, is_high_fixed: bool
) -> tuple[float, float]:
    """The ends of an axis, of which one may be set by hand.

    If that lies beyond the computed one, the computed one is a decade away from it.
    """
    if low >= high and is_low_fixed and not is_high_fixed:
        return low, _decade_above(low)
    if low >= high and is_high_fixed and not is_low_fixed:
        return -_decade_above(-high), high
    return low, high


def raw_limits(
    spectrogram: Spectrogram, row: int, scales: ScalePair, energy_coverage: float
) -> Limits | None:
    """Limits of one row by its own data: 1st to 99th percentile of its cells, energies by coverage.

    The cells are means where there are many records (`samples.grouping_of`), and of them those that
    `coloured_values` gives. The scales are those that the spectrogram is drawn with in figures of
    the pair `scales`. None if the row has no such cell.
    """
    y_scale, z_scale = drawn_scales(spectrogram.legend, scales)
    levels = Levels()
    parts = [np.empty(0, np.float32)]
    for samples in samples_of(spectrogram, row, grouping_of(spectrogram)):
        levels.merge(count_levels(spectrogram.energy, spectrogram.edges, samples))
        parts.append(samples.values.reshape(-1))
    cells = coloured_values(np.concatenate(parts), z_scale)
    ends = levels.limits(y_scale, energy_coverage)
    if not len(cells) or ends is None:
        return None
    return _rounded(*ends, *_percentiles(cells, _RAW_PERCENTILES))


def _percentiles(cells: NDArray[np.float32], percents: Sequence[float]) -> Iterator[float]:
    """Percentiles of cells (cell,) in double precision; sorts no more of them than it needs."""
    last = len(cells) - 1
    below = [int(last * (percent / 100)) for percent in percents]
    ranks = sorted({*below, *(min(rank + 1, last) for rank in below)})
    ordered = np.partition(cells, ranks)
    return (
        interpolated(percent, len(cells), lambda rank: float(ordered[rank])) for percent in percents
    )


def coloured_values(values: NDArray[np.float32], scale: str) -> NDArray[np.float32]:
    """Values (value,) from which the limits of a colour scale are computed.

    These are the positive ones; on a linear scale all finite ones if any is negative, or none is
    positive.
    """
    positive = values[(values > 0) & (values < np.inf)]
    if scale == "linear":
        finite = values[np.isfinite(values)]
        if not len(positive) or (finite < 0).any():
            return finite
    return positive


def empty_limits(spectrogram: Spectrogram, scales: ScalePair) -> Limits:
    """Limits of a panel without a cell that counts: the range of its channels, a decade of values.

    Of the channels, those that have a finite value somewhere; all if none has.
    """
    y_scale, z_scale = drawn_scales(spectrogram.legend, scales)
    measured = np.asarray(spectrogram.measured.any(axis=0))
    ends = edge_range(spectrogram.energy, spectrogram.edges, measured, y_scale)
    low, high = ends or (1.0, 10.0)
    return _rounded(low, high, 1.0 if z_scale == "log" else 0.0, 10.0)


def _z_limits(counts: Tally, scale: str, settings: ExtremaSettings) -> tuple[float, float] | None:
    """The unrounded limits of a colour scale; None: it has no value to show."""
    percents = (settings.min_percentile, settings.max_percentile)
    if scale == "log":
        if not counts.has_positive:
            return None
        low, high = counts.percentiles(percents, positive=True)
    elif counts.smallest < 0 or not counts.has_positive:
        if counts.smallest == np.inf:
            return None
        low, high = counts.percentiles(percents, positive=False)
    else:
        low, high = 0.0, *counts.percentiles(percents[1:], positive=True)
    return low, high


def _common(
    extrema: Mapping[str, float],
    instrument: str,
    category: str,
    scales: ScalePair,
    category_limits: str,
) -> dict[str, float]:
    """The limits of a row in the extrema, rounded outward, by end."""
    is_own = category_limits == "own" or instrument.endswith(BY_ANGLE)
    by_category = (is_own or bool(series_in(instrument))) and category != WHOLE
    name = f"{instrument}-{category}" if by_category else instrument
    keys = {end: f"{name}_{scales[0]}_{scales[1]}_{end}" for end in _ENDS}
    return {end: _outward(extrema[key], end) for end, key in keys.items() if key in extrema}


def _by_hand(
    axes: Mapping[str, AxisLimits], instrument: str, category: str
) -> dict[str, tuple[str, float]]:
    """The limits of a row that are set by hand, by end: the table in `axes`, and the value."""
    values = {}
    for name in (instrument, f"{instrument}.{category}"):
        for end in _ENDS:
            value = getattr(axes.get(name), end, None)
            if value is not None:
                values[end] = name, float(value)
    return values


def _can_show(end: str, value: float, drawn: ScalePair) -> bool:
    """Whether the axis can have this end."""
    return value > 0 or drawn["yz".index(end[0])] != "log"


def _rounded(*ends: float) -> Limits:
    """Limits rounded outward, from y_min, y_max, z_min and z_max."""
    return Limits(*(_outward(value, end) for value, end in zip(ends, _ENDS, strict=True)))


def _decade_above(value: float) -> float:
    """A value a decade larger, or if negative a decade smaller in magnitude; above 0: 1."""
    return 10 * value if value > 0 else value / 10 if value < 0 else 1.0


def _outward(value: float, end: str) -> float:
    """Round to two significant digits, away from the data."""
    rounding = ROUND_FLOOR if end.endswith("min") else ROUND_CEILING
    return float(Context(prec=2, rounding=rounding).create_decimal(repr(value)))
