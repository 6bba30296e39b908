"""Settings of the pitch-angle spectrograms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, MinLen

from spectro_mpi.system.words import choices

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


def mistakes_of_bands(
    table: str, by_instrument: Mapping[str, Bands], instruments: tuple[str, ...]
) -> Iterator[str]:
    """The mistakes in the `bands` of a table that types cannot express, a sentence each."""
    for name, bands in by_instrument.items():
        where = f"{table}.bands.{name}"
        if name not in instruments:
            yield f"{where}: no instrument is called {name}; {choices(name, instruments)}"
        for low, high in bands:
            if low >= high:
                yield f"{where} = [{low:g}, {high:g}]: a band must ascend"
        if len({f"{low:g}-{high:g}" for low, high in bands}) < len(bands):
            yield f"{where}: lists the same band twice"
