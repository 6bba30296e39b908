"""Settings of the pitch-angle spectrograms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated

from annotated_types import Ge, MinLen

BY_ANGLE = "-angles"
"""What follows the name of an instrument where its pitch-angle spectrograms are meant."""

Band = tuple[Annotated[float, Ge(0)], Annotated[float, Ge(0)]]
Bands = Annotated[tuple[Band, ...], MinLen(1)]


@dataclass(frozen=True)
class AngleSettings:
    """What the figures of kind "angle" show; they are computed if `plot.kinds` has it."""

    bands: dict[str, Bands] = field(default_factory=dict)
    """Instrument → energy bands [from, to], a row each, in eV or as the channels are. Empty: those
    of the preset; FAST has 100–1000 and 1000–40,000 eV for electrons, 50–1000 and 1000–30,000 eV
    for ions."""

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012


def mistakes_of_bands(settings: AngleSettings, instruments: tuple[str, ...]) -> Iterator[str]:
    """The mistakes that types cannot express, a sentence each."""
    for name, bands in settings.bands.items():
        if name not in instruments:
            known = ", ".join(instruments)
            yield f"angles.bands.{name}: no instrument is called {name}; choose from {known}"
        for low, high in bands:
            if low >= high:
                yield f"angles.bands.{name} = [{low:g}, {high:g}]: a band must ascend"
        if any(before == after for before, after in pairwise(sorted(bands))):
            yield f"angles.bands.{name}: lists the same band twice"
