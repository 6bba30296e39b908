"""The quantities of FAST ESA files: their names, labels and units, in the store and in figures."""

from __future__ import annotations

from types import MappingProxyType

from spectro_mpi.instruments.preset import Quantity
from spectro_mpi.model.distribution import Combine
from spectro_mpi.model.spectrogram import OVER_BINS, Legend
from spectro_mpi.settings.schema import DataSettings

MISSION = "FAST ESA"
LONG_NAMES = MappingProxyType(
    {
        "ees": "electron survey",
        "eeb": "electron burst",
        "ies": "ion survey",
        "ieb": "ion burst",
    }
)
QUANTITIES = MappingProxyType(
    {
        "counts": Quantity("counts", "Decoded counts", "counts", "Counts"),
        "rate": Quantity("rate", "Count rate of one angle bin", "s-1", "Count rate (s⁻¹)"),
        "eflux": Quantity(
            "eflux",
            "Differential energy flux",
            "eV/(cm^2 s sr eV)",
            "Differential energy flux (eV cm⁻² s⁻¹ sr⁻¹ eV⁻¹)",
        ),
        "flux": Quantity(
            "flux",
            "Differential number flux",
            "1/(cm^2 s sr eV)",
            "Differential number flux (cm⁻² s⁻¹ sr⁻¹ eV⁻¹)",
        ),
        "codes": Quantity("codes", "Telemetry codes", "1", "Telemetry codes"),
    }
)
"""`data.quantity` → name, description, units and label."""
SUMS = ("counts", "codes")
"""Quantities that are summed over the bins of a category; others are means."""
FLUXES = ("eflux", "flux")
"""Quantities that are weighted by solid angle."""


def combine_of(quantity: str) -> Combine:
    """How the bins of a category are combined."""
    return "sum" if quantity in SUMS else "mean"


def by_fraction(data: DataSettings) -> bool:
    """Whether a bin at the border of a category counts by the fraction that lies inside."""
    return (data.angle_borders or ("centre" if data.quantity in SUMS else "fraction")) == "fraction"


def quantity_of(data: DataSettings, has_domega: bool = True) -> Quantity:
    """The quantity of the settings, with a description of how bins are combined.

    `has_domega`: whether the file has its own solid angles; without them they are not used.
    """
    name = data.quantity
    if by_fraction(data):
        bins = "bins count by the fraction inside"
    else:
        bins = "bins count as a whole if their centre is inside"
    words = [f"{combine_of(name)} {OVER_BINS}", bins]
    if name in FLUXES and data.angle_weight == "domega" and has_domega:
        words.append("weighted by domega of the file")
    elif name in FLUXES:
        words.append("weighted by the solid angle of the bin's ring of pitch angles")
    quantity = QUANTITIES[name]
    return quantity._replace(long_name=f"{quantity.long_name}, {'; '.join(words)}")


def legend(instrument: str, quantity: str, long_name: str = "", is_whole: bool = True) -> Legend:
    """Titles, labels and units of an instrument.

    `long_name` describes the quantity (default: in general words). `is_whole`: whether sums are of
    whole bins.
    """
    described = QUANTITIES[quantity]
    name = LONG_NAMES.get(instrument, instrument)
    return Legend(
        mission=MISSION,
        title=f"{MISSION} {name} ({instrument})",
        name=name,
        long_name=long_name or described.long_name,
        units=described.units,
        z_label=described.label,
        is_whole=quantity in SUMS and is_whole,
        by_mode=quantity in SUMS,
    )
