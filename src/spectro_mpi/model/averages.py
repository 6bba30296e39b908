"""Average or sum the records of a spectrogram over a cadence (`data.cadence`).

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.cadence import join_edges, local_widths, own_edges, time_order
from spectro_mpi.model.distribution import Combine
from spectro_mpi.model.moment_sums import averaged_sums
from spectro_mpi.model.spectrogram import Spectrogram, narrowest

_GAP_FACTOR = 2.5
"""Local widths in the step above which there is a gap; not `plot.gap_factor`, which may differ."""
_BRIDGED = 10
"""Cadences of the longest gap that an empty record keeps open; a figure sees longer ones."""
_EQUAL = 1.01
"""Records of one bin whose widths differ by a smaller ratio have equal weight."""
_CELLS_AT_ONCE = 1 << 18
"""Cells that are averaged at a time, to bound memory."""

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class _Groups:
    """The records that are combined with each other, group by group."""

    member: Places
    """(member,) records of the spectrogram; groups by their first record, each in order of time."""
    first: Places
    """(group,) first record of each group, as an index into `member`."""
    weight: Floats
    """(member,) s; 1 where the records of a group have equal widths."""
    start: Floats
    """(group,) start of the group's first record, s since 1970 UTC."""
    end: Floats
    """(group,) end of its last record, s since 1970 UTC."""
    gap: Floats
    """(group,) start of the gap before it that needs an empty record; NaN: there is none."""

    @property
    def stop(self) -> Places:
        """(group,) one past the last record of each group, as an index into `member`."""
        return np.append(self.first[1:], len(self.member))


def averaged(spectrogram: Spectrogram, cadence: int, combine: Combine) -> Spectrogram:
    """Combine the records of each bin of time: to their mean, or their sum.

    Bins begin at whole multiples of `cadence` (microseconds) since 1970-01-01 UTC, so those of all
    items coincide; if the cadence divides a day, one begins at midnight. A record belongs as a
    whole to the bin that its centre lies in. Records of different modes are never combined: a bin
    with several has a record of each. A record without a value in any category and channel is left
    out, unless its bin has no other.

    A mean is Σ w C / Σ w over the finite values C of a cell, where w is the width of the record
    (`cadence.own_edges`, without overlaps), or 1 if all widths of the group are equal within 1 %. A
    sum is Σ C. Their uncertainties are √Σ (w σ)² / Σ w and √Σ σ², NaN if that of any value is not
    known. Flags are joined bit by bit, so a bin is flagged if any of its records is.

    `time_start` and `time_end` of the result enclose the records that were combined, and `time` is
    the middle. A gap between two bins (a step above 2.5 local widths, as `cadence.gaps`) is kept
    open by a record without values, unless it is longer than ten cadences, which a figure sees by
    itself. Times that are not valid are left out.
    """
    groups = _groups(spectrogram, cadence)
    count = len(groups.first)
    if not count:
        return spectrogram
    # Place of each group among the records of the result, which has the empty ones, too.
    has_gap = np.isfinite(groups.gap)
    place = np.arange(count) + np.cumsum(has_gap)
    empty = place[has_gap] - 1
    total = count + len(empty)
    start, end = np.empty(total), np.empty(total)
    start[place], end[place] = groups.start, groups.end
    start[empty], end[empty] = groups.gap[has_gap], groups.start[has_gap]
    mode = np.empty(total, spectrogram.mode.dtype)
    mode[place] = spectrogram.mode[groups.member[groups.first]]
    mode[empty] = mode[empty + 1]
    quality = spectrogram.quality
    if quality.size:
        quality = np.zeros(total, quality.dtype)
        flags = spectrogram.quality[groups.member]
        quality[place] = np.bitwise_or.reduceat(flags, groups.first)
    values, errors = _combined(spectrogram, groups, place, total, combine)
    angles = spectrogram.angles
    if spectrogram.by_angle is not None:
        angles, _ = _combined(spectrogram.by_angle, groups, place, total, combine)
    sums = spectrogram.sums
    if sums is not None:
        weights = groups.weight, groups.first
        sums = averaged_sums(sums, groups.member, *weights, place, total)
    return replace(
        spectrogram,
        sums=sums,
        time=(start + end) / 2,
        time_start=start,
        time_end=end,
        mode=narrowest(mode),
        values=values,
        quality=quality,
        errors=errors,
        angles=angles,
    )


def _groups(spectrogram: Spectrogram, cadence: int) -> _Groups:
    """The records that are combined, by bin of time and mode."""
    order = time_order(spectrogram.time)
    centre = spectrogram.time[order]
    widths = local_widths(centre)
    given = spectrogram.time_start[order], spectrogram.time_end[order]
    start, end, reported = own_edges(centre, *given, widths)
    # Only overlaps are resolved, so that a record beside a short gap is not wider than others.
    join_edges(centre, start, end, reported, np.ones(max(len(centre) - 1, 0), bool))
    # Whole microseconds: a time such as 0.3 s is in the bin that begins with it.
    number = np.rint(centre * 1e6).astype(np.int64) // cadence
    kept = _with_values_or_alone(spectrogram, order, number)
    order, number = order[kept], number[kept]
    centre, widths, start, end = (array[kept] for array in (centre, widths, start, end))
    mode = spectrogram.mode[order].astype(np.int64)
    bin_of = np.cumsum(np.diff(number, prepend=number[:1]) != 0)
    _, lead, group = np.unique(
        bin_of * (int(mode.max(initial=0)) + 1) + mode, return_index=True, return_inverse=True
    )
    # Groups in the order of their first record, each in order of time.
    lead_of = lead[group]
    members = np.argsort(lead_of, kind="stable")
    lead = np.sort(lead)
    first = np.searchsorted(lead_of[members], lead)
    if not len(lead):
        return _Groups(order, first, start, start, end, end)
    before = np.maximum(lead - 1, 0)
    hole = start[lead] - end[before]
    is_open = (number[lead] != number[before]) & (hole > 0) & (hole <= _BRIDGED * cadence / 1e6)
    is_open &= centre[lead] - centre[before] > _GAP_FACTOR * np.maximum(
        widths[lead], widths[before]
    )
    start, ended = start[members], end[members]
    return _Groups(
        member=order[members],
        first=first,
        weight=_weights(ended - start, first),
        start=np.minimum.reduceat(start, first),
        end=np.maximum.reduceat(ended, first),
        gap=np.where(is_open, end[before], np.nan),
    )


def _with_values_or_alone(
    spectrogram: Spectrogram, order: Places, number: NDArray[np.int64]
) -> Places:
    """Records, as indices into `order`, that have a value, or whose bin has none that has.

    `number` (record,) is the bin of each record, never decreasing.
    """
    has_value = np.zeros(len(spectrogram.time), bool)
    for category in spectrogram.values:
        has_value |= np.isfinite(category).any(axis=1)
    has_value = has_value[order]
    bins, of_record = np.unique(number, return_inverse=True)
    any_value = np.bincount(of_record, has_value, len(bins)) > 0
    return np.flatnonzero(has_value | ~any_value[of_record])


def _weights(widths: Floats, first: Places) -> Floats:
    """(member,) weight of each record in the mean of its group."""
    narrow, wide = (reduce.reduceat(widths, first) for reduce in (np.minimum, np.maximum))
    are_equal = ~(wide > _EQUAL * narrow)
    size = np.diff(np.append(first, len(widths)))
    return np.where(np.repeat(are_equal, size), 1.0, widths)


def _combined(
    spectrogram: Spectrogram, groups: _Groups, place: Places, total: int, combine: Combine
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Values and uncertainties, (category, `total`, channel); of size 0: there are none."""
    categories, _, channels = spectrogram.values.shape
    values = np.full((categories, total, channels), np.nan, np.float32)
    has_errors = bool(spectrogram.errors.size)
    errors = np.full(values.shape if has_errors else (0, 0, 0), np.nan, np.float32)
    for number, members, first in _parts(groups, channels):
        for category in range(categories):
            sums = [_sums(spectrogram, category, groups, part, first, combine) for part in members]
            amount, norm, squares = (sum(each) for each in zip(*sums, strict=True))
            known = norm > 0
            divisor = np.where(known, norm, np.nan) if combine == "mean" else 1.0
            at = place[number]
            values[category, at] = np.where(known, amount / divisor, np.nan)
            if has_errors:
                errors[category, at] = np.where(known, np.sqrt(squares) / divisor, np.nan)
    return values, errors


def _sums(
    spectrogram: Spectrogram,
    category: int,
    groups: _Groups,
    part: slice,
    first: Places,
    combine: Combine,
) -> tuple[Floats, Floats, Floats]:
    """Σ w C, Σ w and Σ (w σ)² of some members of groups, (group, channel).

    `first` (group,) is the first member of each group, as an index into those of `part`.
    """
    member = groups.member[part]
    weight = groups.weight[part, None] if combine == "mean" else np.ones((len(member), 1))
    cells = spectrogram.values[category, member].astype(np.float64)
    finite = np.isfinite(cells)
    norm = np.add.reduceat(np.where(finite, weight, 0), first, axis=0)
    amount = np.add.reduceat(np.where(finite, weight * cells, 0), first, axis=0)
    if not spectrogram.errors.size:
        return amount, norm, np.zeros_like(norm)
    sigma = spectrogram.errors[category, member].astype(np.float64)
    squares = np.add.reduceat(np.where(finite, (weight * sigma) ** 2, 0), first, axis=0)
    return amount, norm, squares


def _parts(groups: _Groups, channels: int) -> Iterator[tuple[slice, list[slice], Places]]:
    """Runs of groups, by number: their members, and the first one of each group in these.

    Members are in slices that fit in memory; in several if there is only one group.
    """
    step = max(1, _CELLS_AT_ONCE // max(1, channels))
    stop = groups.stop
    begin = 0
    while begin < len(groups.first):
        start = int(groups.first[begin])
        end = max(begin + 1, int(np.searchsorted(stop, start + step, "right")))
        last = int(stop[end - 1])
        members = [slice(at, min(at + step, last)) for at in range(start, last, step)]
        yield slice(begin, end), members, groups.first[begin:end] - start
        begin = end
