"""Moments of the distribution of each record, as sums over its cells: (time, pitch angle, energy)
→ (time, moment).

What is stored follows from these sums (`model.moments`); they can be averaged over records, which
temperatures cannot. Pure array science: no files, no MPI.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.distribution import Distribution, EnergyFlux, Rows
from spectro_mpi.model.moment_cells import PAIRS, WEIGHTS, CellSums, cell_sums

Floats = NDArray[np.float64]

SUMS = ("n", "along", "against", "energy_along", "energy_against", "omni", "parallel", "across")
"""Columns of the sums: density (cm⁻³), number flux along and against B (cm⁻² s⁻¹, the second is not
positive), the same of the energy flux (erg cm⁻² s⁻¹), omnidirectional flux (cm⁻² s⁻¹), and the
second moments m ∫v∥² f d³v and m/2 ∫v⊥² f d³v (eV cm⁻³)."""
_FOUR = ("n", "net", "parallel", "across")
COVARIANCES = (
    *((one, other) for place, one in enumerate(_FOUR) for other in _FOUR[place:]),
    ("along", "along"),
    ("against", "against"),
    ("energy_along", "energy_along"),
    ("energy_against", "energy_against"),
    ("energy_net", "energy_net"),
    ("omni", "omni"),
)
"""Columns of the covariances of these sums; "net" is along + against."""

LEAST_COVERAGE = 0.9
"""Share of the sphere and the energies of which a record must have measured more, or its moments
are NaN: sums over less would be low."""
_ERG = 1.602177e-12
"""An eV in erg."""
_PRODUCTS = ("nn", "nf", "np", "ff", "fp", "pp", "ee")
"""Products of factors of channels that covariances have."""
_RECORDS_AT_ONCE = 256


@dataclass(frozen=True)
class MomentPlan:
    """How moments of an instrument are computed."""

    species: str
    mass: float
    """eV/(km/s)²."""
    charge: int
    energies: tuple[float, float]
    """eV: channels with their centre from the first to the second are summed."""
    scale: float = 1.0
    offset: float = 0.0
    """Energies are shifted by sign(charge) (scale · potential + offset), V."""


@dataclass(frozen=True)
class MomentSums:
    """Sums over the cells of each record."""

    plan: MomentPlan
    values: Floats
    """(record, SUMS); NaN: not measured."""
    covariances: Floats
    """(record, COVARIANCES); NaN: not known. Of size 0: the input has no uncertainties."""
    potential: NDArray[np.float32]
    """(record,) V; NaN: not known. Of size 0: the input has none."""
    coverage: NDArray[np.float32]
    """(record,) 0 to 1: Σ ΔE Ω of the cells that count over Σ ΔE 4π of the channels that are
    measured at all."""

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """Its arrays."""
        return self.values, self.covariances, self.potential, self.coverage


def empty_sums(plan: MomentPlan, records: int, flux: EnergyFlux) -> MomentSums:
    """Sums of so many records, all NaN, with what a chunk of them has."""
    has_errors, has_potential = flux.sigma is not None, flux.potential is not None
    return MomentSums(
        plan,
        np.full((records, len(SUMS)), np.nan),
        np.full((records, len(COVARIANCES)) if has_errors else (0, len(COVARIANCES)), np.nan),
        np.full(records if has_potential else 0, np.nan, np.float32),
        np.zeros(records, np.float32),
    )


def put(into: MomentSums, rows: Rows, part: MomentSums) -> None:
    """Put the sums of some records, in place, into those of all."""
    for array, of_rows in zip(into.arrays, part.arrays, strict=True):
        if len(array):
            array[rows] = of_rows


def joined_sums(
    parts: Sequence[MomentSums | None], chosen: Sequence[NDArray[np.bool_]]
) -> MomentSums | None:
    """The chosen records of several files, one after the other; None: one of them has no sums.

    What one of them lacks, none has.
    """
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None

    def records(name: str) -> NDArray[Any]:
        arrays: list[NDArray[Any]] = [getattr(part, name) for part in known]
        if not all(map(len, arrays)):
            return arrays[0][:0]
        taken = [array[rows] for array, rows in zip(arrays, chosen, strict=True)]
        return np.concatenate(taken)

    return replace(
        known[0],
        values=records("values"),
        covariances=records("covariances"),
        potential=records("potential"),
        coverage=records("coverage"),
    )


def averaged_sums(
    sums: MomentSums,
    member: NDArray[np.intp],
    weight: Floats,
    first: NDArray[np.intp],
    place: NDArray[np.intp],
    total: int,
) -> MomentSums:
    """Means of the sums over groups of records, as of their mean distribution.

    `member` (member,) are records, `weight` (member,) their weights, `first` (group,) the first
    member of each group. A mean is Σ w S / Σ w over the records that have sums, its covariance
    Σ w² C / (Σ w)². The means become the records `place` (group,) of `total`; others are NaN.
    """
    known = np.asarray(np.isfinite(sums.values[member]).all(axis=1))

    def mean(array: NDArray[Any], known: NDArray[np.bool_], power: int = 1) -> NDArray[Any]:
        if not len(array):
            return array
        used = np.where(known, weight, 0.0)
        rows = array[member].reshape(len(member), -1).astype(np.float64)
        rows = np.where(known[:, None], rows, 0) * used[:, None] ** power
        norm = np.add.reduceat(used, first)[:, None] ** power
        summed = np.add.reduceat(rows, first, axis=0)
        means = np.full((total, rows.shape[1]), np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            means[place] = np.where(norm > 0, summed / norm, np.nan)
        return means.reshape(total, *array.shape[1:])

    potential = sums.potential
    if len(potential):
        potential = np.where(potential == 0, np.float32(np.nan), potential)
        potential = mean(potential, np.isfinite(potential[member])).astype(np.float32)
    coverage = np.nan_to_num(mean(sums.coverage, np.ones(len(member), bool)))
    return replace(
        sums,
        values=mean(sums.values, known),
        covariances=mean(sums.covariances, known, power=2),
        potential=potential,
        coverage=coverage.astype(np.float32),
    )


def moment_sums(
    distribution: Distribution,
    energy: NDArray[np.floating[Any]],
    edges: NDArray[np.floating[Any]],
    plan: MomentPlan,
) -> MomentSums:
    """Sum the moments of each record.

    With f = eflux m²/(2·10⁵ E²), its ring's integrals (`ring_moments`), and E, ΔE shifted by the
    potential (`_energies`), E alone in f not:

    - n = √2 m^(−3/2) Σ ΔE √E ∫f dΩ [n_2d_new];
    - number flux 2·10⁵ m⁻² Σ ΔE E ∫f cos α dΩ [j_2d_new], omnidirectional without the cosine
      [jo_2d_new];
    - energy flux 2·10⁵ m⁻² Σ ΔE E² ∫f cos α dΩ [je_2d_new];
    - second moments 2√2 m^(−3/2) Σ ΔE E^(3/2) ∫f cos² α dΩ, and √2 m^(−3/2) Σ ΔE E^(3/2) ∫f sin² α
      dΩ [p_2d_new].

    In brackets the routines of SPEDAS. Uncertainties of cells are independent: the covariance of
    two sums is that of their coefficients times σ².

    Parameters
    ----------
    distribution : Distribution
        The records, with their `eflux`.
    energy : ndarray, (mode, channel)
        Centres of the channels, eV; NaN: no such channel.
    edges : ndarray, (mode, channel, 2)
        Their lower and upper edges, eV.
    plan : MomentPlan
        Species, energies, and potential.
    """
    flux = distribution.eflux
    assert flux is not None
    records, bins, channels = flux.values.shape
    sums = empty_sums(plan, records, flux)
    if flux.potential is not None:
        sums.potential[:] = flux.potential
    nbins, nenergy = distribution.nbins.astype(np.intp), distribution.nenergy.astype(np.intp)
    usable = distribution.valid & (nbins > 0) & (nbins <= bins)
    usable &= (nenergy > 0) & (nenergy <= channels) & (distribution.mode < len(energy))
    inside = (energy >= plan.energies[0]) & (energy <= plan.energies[1])
    inside &= edges[..., 1] > edges[..., 0]
    cells = cell_sums(distribution, usable, inside)
    ranked = np.flatnonzero(usable)
    ranked = ranked[np.argsort(distribution.mode[ranked], kind="stable")]
    for first in range(0, len(ranked), _RECORDS_AT_ONCE):
        rows = ranked[first : first + _RECORDS_AT_ONCE]
        mode = distribution.mode[rows]
        if mode[0] == mode[-1]:
            mode = mode[:1]
        summed = np.flatnonzero(inside[mode].any(axis=0))
        if not len(summed):
            continue
        span = slice(int(summed[0]), int(summed[-1]) + 1)
        channel = energy[mode][:, span], edges[mode][:, span], inside[mode][:, span]
        potential = None if flux.potential is None else flux.potential[rows]
        put(sums, rows, _sums_of(cells.of(rows, span), *channel, potential, plan))
    return sums


def _sums_of(
    cells: CellSums,
    energy: NDArray[np.floating[Any]],
    edges: NDArray[np.floating[Any]],
    inside: NDArray[np.bool_],
    potential: NDArray[np.floating[Any]] | None,
    plan: MomentPlan,
) -> MomentSums:
    """The sums of some records; `energy` and `inside` are (record or 1, channel)."""
    measured = energy.astype(np.float64)
    shifted, width = _energies(measured, edges.astype(np.float64), potential, plan)
    inside = inside & cells.measures & (measured > 0) & (shifted > 0)
    if (inside == inside[:1]).all():
        inside = inside[:1]
    with np.errstate(invalid="ignore", divide="ignore"):
        # Of the number flux: 2·10⁵ m⁻² f E = eflux E'/E².
        flux = np.where(inside, width * shifted / measured**2, 0.0)
        density = np.where(inside, flux * np.sqrt(plan.mass / 2 / shifted) * 1e-5, 0.0)
    shifted, width = np.where(inside, shifted, 0), np.where(inside, width, 0)
    factors = {"n": density, "f": flux, "e": flux * shifted * _ERG, "p": density * shifted}
    seen = (width * cells.seen).sum(axis=1, dtype=np.float64)
    full = np.broadcast_to(4 * np.pi * width.sum(axis=1), seen.shape)
    coverage = np.divide(seen, full, out=np.zeros_like(seen), where=full > 0)
    of = _totals(cells.values, WEIGHTS, factors, tuple(factors))
    columns = {
        "n": of["whole", "n"],
        "along": of["along", "f"],
        "against": of["against", "f"],
        "energy_along": of["along", "e"],
        "energy_against": of["against", "e"],
        "omni": of["whole", "f"],
        "parallel": 2 * of["square", "p"],
        "across": of["whole", "p"] - of["square", "p"],
    }
    values = np.stack([columns[name] for name in SUMS], axis=1)
    covariances = np.zeros((0, len(COVARIANCES)))
    if len(cells.spreads):
        spreads = cells.spreads
        if not np.isfinite(spreads).all():  # uncertainties may be unknown outside
            spreads = np.where(inside[:, None], spreads, np.float32(0))
        covariances = _covariances(_totals(spreads, PAIRS, factors, _PRODUCTS))
    is_seen = coverage > LEAST_COVERAGE
    for array in filter(len, (values, covariances)):
        array[~is_seen] = np.nan
    none = np.zeros(0, np.float32)
    known = none if potential is None else potential.astype(np.float32)
    return MomentSums(plan, values, covariances, known, np.minimum(coverage, 1).astype("f4"))


def _totals(
    sums: NDArray[np.float32],
    weights: Sequence[Any],
    factors: Mapping[str, Floats],
    words: Sequence[str],
) -> dict[tuple[Any, str], Floats]:
    """Sum over the channels: weight, product of factors → (record,).

    `sums` are (record, weight, channel), `factors` (record or 1, channel); "nf" is the product of
    the factors "n" and "f".
    """
    products = np.stack([math.prod(factors[letter] for letter in word) for word in words], axis=-1)
    # A product of matrices for each record, so that the others do not matter.
    totals = sums.astype(np.float64) @ products
    return {
        (weight, word): totals[:, row, column]
        for row, weight in enumerate(weights)
        for column, word in enumerate(words)
    }


def _covariances(of: Mapping[tuple[tuple[str, str], str], Floats]) -> Floats:
    """(record, COVARIANCES)."""

    def spread(one: str, other: str, factors: str) -> Floats:
        return of[(one, other), factors]

    columns: dict[tuple[str, str], Floats] = {
        ("n", "n"): spread("whole", "whole", "nn"),
        ("n", "net"): spread("whole", "net", "nf"),
        ("n", "parallel"): 2 * spread("whole", "square", "np"),
        ("n", "across"): spread("whole", "whole", "np") - spread("whole", "square", "np"),
        ("net", "net"): spread("net", "net", "ff"),
        ("net", "parallel"): 2 * spread("net", "square", "fp"),
        ("net", "across"): spread("whole", "net", "fp") - spread("net", "square", "fp"),
        ("parallel", "parallel"): 4 * spread("square", "square", "pp"),
        ("parallel", "across"): 2
        * (spread("whole", "square", "pp") - spread("square", "square", "pp")),
        ("across", "across"): spread("whole", "whole", "pp")
        - 2 * spread("whole", "square", "pp")
        + spread("square", "square", "pp"),
        ("energy_net", "energy_net"): spread("net", "net", "ee"),
        ("omni", "omni"): spread("whole", "whole", "ff"),
    }
    for name in ("along", "against"):
        columns[name, name] = spread(name, name, "ff")
        columns[f"energy_{name}", f"energy_{name}"] = spread(name, name, "ee")
    return np.stack([columns[pair] for pair in COVARIANCES], axis=1)


def _energies(
    energy: Floats, edges: Floats, potential: NDArray[Any] | None, plan: MomentPlan
) -> tuple[Floats, Floats]:
    """Energies and widths of channels far from the spacecraft, (record or 1, channel), eV.

    The edges `edges` (record or 1, channel, 2) are shifted by sign(q) (s Φ + o) and clipped at 0.
    The energy is shifted as they are, and is the middle of a channel that is clipped. Where the
    potential is not known, or 0, nothing is shifted.
    """
    low, high = edges[..., 0], edges[..., 1]
    if potential is None or not (plan.scale or plan.offset):
        return energy, high - low
    known = np.isfinite(potential) & (potential != 0)
    shift = np.where(known, plan.scale * np.where(known, potential, 0) + plan.offset, 0.0)
    if not shift.any():
        return energy, high - low
    shift = (np.sign(plan.charge) * shift)[:, None]
    below, above = np.maximum(low + shift, 0), np.maximum(high + shift, 0)
    middle = np.where(low + shift > 0, energy + shift, (below + above) / 2)
    return np.where(shift == 0, energy, middle), above - below
