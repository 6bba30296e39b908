"""Moments of the distribution by record, as they are stored: density, fluxes, temperatures.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.artifacts import Dataset
from spectro_mpi.model.cadence import time_span
from spectro_mpi.model.ephemeris import FIELD_MODEL, HEMISPHERE, Variable, mirror_ratio
from spectro_mpi.model.moment_sums import COVARIANCES, SUMS, MomentPlan, MomentSums
from spectro_mpi.settings.schema import Config

Floats = NDArray[np.float64]

EARTHWARD, ALONG = "earthward", "along B"
DIRECTIONS = {EARTHWARD: ("down", "up", "net"), ALONG: ("parallel", "antiparallel", "net")}
"""What is positive → the names of the directions of fluxes."""
ERROR, MAPPED = "_error", "_100km"
"""Suffixes of an uncertainty (1 σ), and of a flux that is mapped to 100 km."""

_ABOUT = {
    "density": ("Density", "cm-3"),
    "number_flux": ("Parallel number flux", "cm-2 s-1"),
    "energy_flux": ("Parallel energy flux", "erg cm-2 s-1"),
    "number_flux_100km": ("Parallel number flux, mapped to 100 km", "cm-2 s-1"),
    "energy_flux_100km": ("Parallel energy flux, mapped to 100 km", "erg cm-2 s-1"),
    "omnidirectional_flux": ("Omnidirectional number flux", "cm-2 s-1"),
    "velocity": ("Velocity along the field", "km s-1"),
    "pressure_parallel": ("Pressure along the field", "eV cm-3"),
    "pressure_perpendicular": ("Pressure across the field", "eV cm-3"),
    "temperature_parallel": ("Temperature along the field", "eV"),
    "temperature_perpendicular": ("Temperature across the field", "eV"),
    "temperature": ("Temperature", "eV"),
    "potential": ("Potential of the spacecraft", "V"),
    "coverage": ("Share of the sphere and the energies that was measured", "1"),
}
"""Name → description and units."""
_SIGNED = ("number_flux", "energy_flux", "number_flux_100km", "energy_flux_100km", "velocity")
_NO_PLAN = MomentPlan("", 0.0, 0, (0.0, 0.0))


@dataclass(frozen=True)
class Moments:
    """Moments of the records of one instrument.

    `moments["density"]` is an array (record,), `moments["number_flux"]` one of (direction, record);
    names, units and meaning are in docs/formats.md.
    """

    time: NDArray[np.float64]
    """(record,) s since 1970 UTC."""
    values: Mapping[str, NDArray[np.float32]]
    """Name → values; NaN: not known."""
    positive: str = ALONG
    """What is positive in fluxes and the velocity: "earthward" or "along B"."""
    plan: MomentPlan = field(default=_NO_PLAN)
    """How they were computed."""

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self.values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def __repr__(self) -> str:
        names, span = ", ".join(self.values), time_span(self.time)
        return f"<Moments of {self.plan.species or '?'}: record {len(self.time)}; {span}; {names}>"

    @property
    def directions(self) -> tuple[str, ...]:
        """Names of the rows of fluxes: down, up, net; or parallel, antiparallel, net."""
        return DIRECTIONS[self.positive]

    @property
    def attributes(self) -> dict[str, str | float]:
        """How they were computed, for the store and xarray."""
        plan = self.plan
        made: dict[str, str | float] = {
            "positive": self.positive,
            "species": plan.species,
            "mass": plan.mass,
            "charge": plan.charge,
            "energy_range": "{:g} {:g}".format(*plan.energies),
            "potential_scale": plan.scale,
            "potential_offset": plan.offset,
        }
        if any(name.endswith(MAPPED) for name in self.values):
            made["field_model"] = FIELD_MODEL
        return made

    @property
    def words(self) -> tuple[str, ...]:
        """What is positive, and the names of the `values`: what a digest needs besides numbers."""
        return (self.positive, *self.values)

    def about(self, name: str) -> tuple[str, str]:
        """Description and units of one of the `values`."""
        base = name.removesuffix(ERROR)
        long_name, units = _ABOUT[base]
        if base in _SIGNED:
            long_name += f", positive {self.positive}"
        return (f"Uncertainty (1 sigma): {long_name}" if name != base else long_name), units

    @property
    def datasets(self) -> list[Dataset]:
        """The values with their dimensions, units and descriptions."""
        rows = {"direction": np.array(self.directions)}
        return [
            Dataset(
                name,
                values,
                self.dims(name),
                self.about(name)[1],
                self.about(name)[0],
                rows if values.ndim > 1 else {},
            )
            for name, values in self.values.items()
        ]

    def dims(self, name: str) -> tuple[str, ...]:
        """Dimensions of one of the `values`."""
        return ("direction", "time") if self.values[name].ndim > 1 else ("time",)


def plan_for(config: Config, instrument: str) -> MomentPlan | None:
    """How moments of an instrument are computed with some settings; None: they are not."""
    species, moments = config.species(instrument), config.moments
    if species is None:
        return None
    return MomentPlan(
        species.name,
        species.mass,
        species.charge,
        moments.energies.get(instrument, species.energies),
        moments.potential_scale,
        moments.potential_offset,
    )


def plan_of(attributes: Mapping[str, Any]) -> MomentPlan:
    """The plan of `Moments.attributes`. Raises `KeyError` or `ValueError` if it is none."""
    low, high = (float(word) for word in str(attributes["energy_range"]).split())
    return MomentPlan(
        str(attributes["species"]),
        float(attributes["mass"]),
        int(attributes["charge"]),
        (low, high),
        float(attributes["potential_scale"]),
        float(attributes["potential_offset"]),
    )


def moments_of(
    sums: MomentSums, time: NDArray[np.float64], ephemeris: Sequence[Variable] = ()
) -> Moments:
    """Compute the moments that are stored from sums over the records' cells.

    The velocity along the field is v = J/n, P∥ the second moment less m n v², T = P/n, and their
    mean T = (T∥ + 2 T⊥)/3 (n_2d_new to t_2d_new of SPEDAS). Uncertainties are propagated to first
    order, with the covariances of the sums.

    Fluxes are turned to be positive toward earth by the `hemisphere` of each record; with an
    ephemeris, records without it have none. Without ephemeris they are positive along B. Where
    altitude and invariant latitude are known, fluxes are mapped to 100 km, by B₁₀₀/B of a dipole.

    Parameters
    ----------
    sums : MomentSums
    time : ndarray, (record,)
        s since 1970 UTC.
    ephemeris : sequence of Variable
        Variables by record; empty: there is none.
    """
    known = {variable.name: variable.values for variable in ephemeris}
    hemisphere = known.get(HEMISPHERE)
    sign = np.ones(len(time)) if hemisphere is None else hemisphere.astype(np.float64)
    of = dict(zip(SUMS, sums.values.T, strict=True))
    net = of["along"] + of["against"]
    values: dict[str, NDArray[Any]] = {
        "density": of["n"],
        "number_flux": _turned(of["along"], of["against"], sign),
        "energy_flux": _turned(of["energy_along"], of["energy_against"], sign),
        "omnidirectional_flux": of["omni"],
    }
    errors: dict[str, NDArray[Any]] = {}
    if len(sums.covariances):
        errors = _errors_of_sums(sums, sign)
    derived, of_derived = _derived(sums, net)
    derived["velocity"] = derived["velocity"] * sign
    if errors:
        errors |= of_derived
        errors["velocity"] = errors["velocity"] * np.abs(sign)
    values |= derived
    if hemisphere is not None and {"alt", "ilat"} <= known.keys():
        ratio = mirror_ratio(known["alt"], known["ilat"])
        for table in (values, errors):
            for name in ("number_flux", "energy_flux"):
                if name in table:
                    table[name + MAPPED] = table[name] * ratio
    if len(sums.potential):
        unknown = ~np.isfinite(sums.potential) | (sums.potential == 0)
        values["potential"] = np.where(unknown, np.nan, sums.potential)
    values["coverage"] = sums.coverage
    values |= {name + ERROR: error for name, error in errors.items()}
    with np.errstate(over="ignore"):
        single = {name: values[name].astype(np.float32) for name in in_order(values)}
    return Moments(time, single, ALONG if hemisphere is None else EARTHWARD, sums.plan)


def in_order(values: Container[str]) -> list[str]:
    """The names of moments in their order, as far as they are among `values`."""
    return [name for base in _ABOUT for name in (base, base + ERROR) if name in values]


def _turned(along: Floats, against: Floats, sign: Floats) -> Floats:
    """(direction, record): what moves in the positive direction, what moves against it, and both.

    `sign` (record,) is 1 where B is positive, −1 where it is not.
    """
    north = sign >= 0
    first, second = np.where(north, along, -against), np.where(north, against, -along)
    return np.stack([first, second, first + second]) + 0 * sign  # NaN where it is not known


def _errors_of_sums(sums: MomentSums, sign: Floats) -> dict[str, NDArray[Any]]:
    """Uncertainties of what is a sum itself."""
    sigma = dict(zip(COVARIANCES, np.sqrt(np.maximum(sums.covariances.T, 0)), strict=True))
    errors = {"density": sigma["n", "n"], "omnidirectional_flux": sigma["omni", "omni"]}
    for name, prefix in (("number_flux", ""), ("energy_flux", "energy_")):
        along, against, net = (
            sigma[prefix + part, prefix + part] for part in ("along", "against", "net")
        )
        north = sign >= 0
        rows = np.where(north, along, against), np.where(north, against, along), net
        errors[name] = np.stack(rows) + 0 * sign
    return errors


def _derived(
    sums: MomentSums, net: Floats
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Velocity along B, pressures and temperatures; and their uncertainties, if they are known."""
    of = dict(zip(SUMS, sums.values.T, strict=True))
    mass = sums.plan.mass * 1e-10  # of velocities in cm/s
    with np.errstate(divide="ignore", invalid="ignore"):
        n = np.where(of["n"] > 0, of["n"], np.nan)
        speed = net / n
        across = of["across"]
        parallel = of["parallel"] - mass * n * speed**2
        values = {
            "velocity": speed * 1e-5,
            "pressure_parallel": parallel,
            "pressure_perpendicular": np.where(np.isfinite(n), across, np.nan),
            "temperature_parallel": parallel / n,
            "temperature_perpendicular": across / n,
            "temperature": (parallel + 2 * across) / (3 * n),
        }
        if not len(sums.covariances):
            return values, {}
        # Derivatives by n, J, and the second moments along and across the field.
        zero, one = np.zeros_like(n), np.ones_like(n)
        of_parallel = np.stack([mass * speed**2, -2 * mass * speed, one, zero])
        of_across = np.stack([zero, zero, zero, one])
        of_n = np.stack([one, zero, zero, zero])
        gradients = {
            "velocity": np.stack([-speed, one, zero, zero]) / n * 1e-5,
            "pressure_parallel": of_parallel,
            "pressure_perpendicular": of_across + 0 * n,
            "temperature_parallel": (of_parallel - values["temperature_parallel"] * of_n) / n,
            "temperature_perpendicular": (of_across - values["temperature_perpendicular"] * of_n)
            / n,
            "temperature": (of_parallel + 2 * of_across - 3 * values["temperature"] * of_n)
            / (3 * n),
        }
    matrix = _matrix(sums)
    errors = {
        name: np.sqrt(np.maximum(np.einsum("ir,ijr,jr->r", slope, matrix, slope), 0))
        for name, slope in gradients.items()
    }
    return values, errors


def _matrix(sums: MomentSums) -> Floats:
    """Covariances of n, J, and the second moments: (4, 4, record)."""
    four = list(dict.fromkeys(one for one, _ in COVARIANCES[:10]))
    matrix = np.empty((4, 4, len(sums.covariances)))
    for column, (one, other) in enumerate(COVARIANCES[:10]):
        i, j = four.index(one), four.index(other)
        matrix[i, j] = matrix[j, i] = sums.covariances[:, column]
    return matrix
