"""Settings of the moments: species, energies, and the potential of the spacecraft."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Literal

from annotated_types import Ge, Interval

from spectro_mpi.system.words import choices

SpeciesName = Literal["electron", "proton", "helium", "oxygen"]
Energies = tuple[Annotated[float, Ge(0)], Annotated[float, Ge(0)]]

_ATOMIC_MASS = 931_494_102.42 / 299_792.458**2
"""eV/(km/s)² (CODATA 2018)."""


@dataclass(frozen=True)
class Species:
    """A kind of particle."""

    name: str
    mass: float
    """eV/(km/s)²."""
    charge: int
    """In elementary charges."""
    energies: Energies
    """Energies over which moments are summed by default, eV: those of FAST's key parameters."""


SPECIES = MappingProxyType(
    {
        each.name: each
        for each in (
            # Masses of electron and proton as in FAST files (`mass`) and SPEDAS.
            Species("electron", 5.68566e-6, -1, (25.0, 40_000.0)),
            Species("proton", 1.04389e-2, 1, (20.0, 30_000.0)),
            Species("helium", 4.00206 * _ATOMIC_MASS, 1, (20.0, 30_000.0)),
            Species("oxygen", 15.99437 * _ATOMIC_MASS, 1, (20.0, 30_000.0)),
        )
    }
)
"""By name; helium and oxygen are He⁺ and O⁺."""


@dataclass(frozen=True)
class MomentSettings:
    """Moments of the distribution by record: density, fluxes along the field, temperature."""

    compute: bool | None = None
    """Whether moments are computed and stored, where the input allows it. Left out: if `[moments]`
    has another setting, or figures of kind "summary" draw moments. They take about as long as the
    rest of the reduction."""
    species: dict[str, SpeciesName] = field(default_factory=dict)
    """Instrument → what it measures: "electron", "proton", "helium" (He⁺) or "oxygen" (O⁺).
    Instruments that are left out: as the preset says (FAST: electrons, protons), else none, and
    they have no moments."""
    energies: dict[str, Energies] = field(default_factory=dict)
    """Instrument → [from, to] in eV: channels whose centre lies within are summed. Left out: 25 to
    40,000 for electrons, 20 to 30,000 for ions."""
    potential_scale: Annotated[float, Interval(ge=-10, le=10)] = 1.0
    """Energies are corrected for the potential Φ of the spacecraft to E + sign(q) (s Φ + o), in
    records whose Φ the file knows and is not 0. This is s."""
    potential_offset: Annotated[float, Interval(ge=-1000, le=1000)] = 1.05
    """o in E + sign(q) (s Φ + o), V; with s = o = 0 energies are not corrected."""

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012


def mistakes_of_moments(settings: MomentSettings, instruments: tuple[str, ...]) -> Iterator[str]:
    """The mistakes that types cannot express, a sentence each."""
    for key in ("species", "energies"):
        for name in getattr(settings, key):
            if name not in instruments:
                known = choices(name, instruments)
                yield f"moments.{key}.{name}: no instrument is called {name}; {known}"
    for name, (low, high) in settings.energies.items():
        if low >= high:
            yield f"moments.energies.{name} = [{low:g}, {high:g}]: the range must ascend"
