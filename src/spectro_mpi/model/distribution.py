"""Records of a particle instrument as its file stores them: (record, bin, channel)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.settings.direction import Direction

Categories = Mapping[str, Sequence[tuple[float, float]] | Direction]
"""Name → intervals [lo, hi) of pitch angle, degrees within 0 to 360; or a direction, which needs
`Distribution.earthward`."""

EVERYTHING: Categories = {"all": ((0.0, 360.0),)}
"""The categories of an instrument without pitch angles: all of its bins."""

Rows = slice | NDArray[np.intp]
"""Indices of records."""

_SLAB_RECORDS = 128

Sigma = Callable[[Rows, slice, slice], NDArray[np.floating[Any]]]
"""Records, bins, channels → uncertainty of their values."""
Combine = Literal["sum", "mean"]
"""How the bins of a category are combined."""


@dataclass(frozen=True)
class EnergyFlux:
    """The differential energy flux of the records of a `Distribution`, for their moments.

    Arrays of cells may have length 1 along any axis, except `values`.
    """

    values: NDArray[np.floating[Any]]
    """(record, bin, channel) eV/(cm² s sr eV); NaN, or a float fill value: missing."""
    pitch_angle: NDArray[np.float32]
    """(record, bin, channel) degrees."""
    width: NDArray[np.floating[Any]]
    """(record, bin, channel) degrees, the extent of a bin in pitch angle; a bin of which it is not
    above 0 does not count."""
    passes: int = 2
    """How often the bins pass each direction to B: 2 on a circle from 0 to 360, 1 from 0 to 180."""
    measured: NDArray[np.bool_] | None = None
    """(record, bin, channel) whether the cell is a measurement; None: all are."""
    sigma: Sigma | None = None
    """The uncertainty of some `values`, NaN: not known; None: of none.
    It is a function because that of a whole chunk would take as much memory as `values`."""
    potential: NDArray[np.floating[Any]] | None = None
    """(record,) potential of the spacecraft, V; NaN: not known. None: of none."""


@dataclass(frozen=True)
class Distribution:
    """Consecutive records of one particle instrument: (record, bin, channel).

    Missing times are NaN. A value counts if its record is `valid`, its bin is below `nbins` and
    its channel below `nenergy` of that record, it is `measured`, and neither it nor its pitch angle
    nor its weight is NaN, `value_fill`, or a float fill value (−1e31).

    The optional arrays of cells (`measured`, `weight`, `width`, `ring_width`) may have length 1
    along any axis: it stands for all records, bins or channels. That saves memory and time.
    """

    time: NDArray[np.float64]
    """(record,) centre, s since 1970 UTC."""
    time_start: NDArray[np.float64]
    """(record,) s since 1970 UTC."""
    time_end: NDArray[np.float64]
    """(record,) s since 1970 UTC."""
    valid: NDArray[np.bool_]
    """(record,) whether the record may be used."""
    mode: NDArray[np.unsignedinteger[Any]]
    """(record,) row of the file's energy table in use for the record."""
    nbins: NDArray[np.integer[Any]]
    """(record,) number of angle bins in use."""
    nenergy: NDArray[np.integer[Any]]
    """(record,) number of energy channels in use."""
    values: NDArray[np.integer[Any]] | NDArray[np.floating[Any]]
    """(record, bin, channel) telemetry codes or counts, as integers of any size (sums of them are
    exact up to 2²⁴); or a quantity such as eV/(cm² s sr eV), as floats."""
    value_fill: float | None
    """The FILLVAL of `values`; None: no value is fill, as where 255 is a count."""
    pitch_angle: NDArray[np.float32]
    """(record, bin, channel) degrees, of each bin and channel."""
    weight: NDArray[np.float32] | None
    """(record, bin, channel) solid angle, sr, the weight of a bin in a mean; None: `ring_width`, or
    all bins have equal weight. Sums are not weighted."""
    width: NDArray[np.float32] | None = None
    """(record, bin, channel) extent of each bin in pitch angle, degrees, half of it to either side
    of `pitch_angle`, at most 360. With it a bin counts in a category by the fraction that lies
    inside; None, and where it is not above 0: as a whole, if its centre does."""
    ring_width: NDArray[np.float32] | None = None
    """(record, bin, channel) degrees: weight of a bin in a mean is the solid angle of the ring
    `pitch_angle` ± `ring_width`/2 (`model.rings`); a bin whose ring is not above 0 does not count.
    None: `weight`."""
    measured: NDArray[np.bool_] | None = None
    """(record, bin, channel) whether the cell is a measurement; False for one that is none, such as
    the retrace of the sweep. None: all are."""
    variance: NDArray[np.floating[Any]] | None = None
    """(record, bin, channel) square of the uncertainty of `values`, of which it has the full shape;
    None: not known. Where a bin of a category has none (NaN), that of the category is not."""
    quality: NDArray[np.uint8] | None = None
    """(record,) flags of the record, 0: good; None: the file has none."""
    earthward: NDArray[np.floating[Any]] | None = None
    """(record,) degrees, the pitch angle of the direction toward earth: 0 in the northern
    hemisphere, 180 in the southern; NaN: not known. None: it is for none."""
    loss_cone: NDArray[np.floating[Any]] | None = None
    """(record,) degrees, half angle of the loss cone; NaN: not known. None: it is for none."""
    eflux: EnergyFlux | None = None
    """What moments are computed from; None: no moments."""


FILL_FLOAT = -1e31
"""FILLVAL of floats and doubles in ISTP files."""


def is_measured(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where `values` (any shape, float) are neither NaN nor infinite nor a float fill value."""
    measured: NDArray[np.bool_] = np.isfinite(values) & (values > FILL_FLOAT / 10)
    return measured


def blocks(
    usable: NDArray[np.bool_],
    nbins: NDArray[np.integer[Any]],
    nenergy: NDArray[np.integer[Any]],
    cells: int | None = None,
) -> Iterator[tuple[Rows, int, int]]:
    """Slabs of usable records with equal numbers of bins and channels: (records, bins, channels).

    All arrays are (record,). A slab has at most 128 records, and about `cells` cells if that is
    given, so that intermediate arrays of its cells stay in the cache.
    """
    size = np.where(usable, (nbins.astype(np.int64) << 32) | nenergy.astype(np.int64), 0)
    for code in np.unique(size[usable]).tolist():
        rows = np.flatnonzero(size == code)
        bins, channels = code >> 32, code & 0xFFFFFFFF
        most = _SLAB_RECORDS
        if cells is not None:
            most = min(most, max(1, cells // (bins * channels)))
        for first in range(0, len(rows), most):
            slab = rows[first : first + most]
            contiguous = slab[-1] - slab[0] + 1 == len(slab)
            records = slice(int(slab[0]), int(slab[-1]) + 1) if contiguous else slab
            yield records, bins, channels
