"""Settings of the ephemeris: where a spacecraft was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from spectro_mpi.settings.file_pattern import FilePattern
from spectro_mpi.settings.instrument_table import RESERVED_QUANTITIES

NONE = "none"
"""As a file pattern: no ephemeris is read."""
FAST_VARIABLES = {name: name for name in ("alt", "ilat", "mlt", "flat", "flng")}
_VARIABLE = re.compile(r"(?P<name>.+?)(?:\[(?P<index>\d+)\])?")


@dataclass(frozen=True)
class EphemerisSettings:
    """Files that say where the spacecraft was, and what is read of them."""

    file: str = ""
    """Pattern of their names, as of `[[instrument]]`: they belong to the items of the same name, or
    of the same time if the pattern has a `{date}`. Empty: those of the preset; FAST has
    "fa_k0_orb_{orbit}_v{version}.cdf". "none": none are read."""
    time: str = ""
    """Variable of the times; empty: DEPEND_0 of the others, or Epoch, unix_time or TIME."""
    variables: dict[str, str] = field(default_factory=lambda: dict(FAST_VARIABLES))
    """Name in the store and in labels → variable of the file, as "r[0]" for one component. `alt`
    is an altitude in km, `ilat` the invariant latitude, `mlt` the magnetic local time in hours,
    `flat` and `flng` are the footprint's latitude and longitude, all in degrees."""

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012


def component_of(variable: str) -> tuple[str, int | None]:
    """Name and index of a variable such as "r[0]"; None: it has no index."""
    match = _VARIABLE.fullmatch(variable)
    if match is None or match["index"] is None:
        return variable, None
    return match["name"], int(match["index"])


def mistakes_of_ephemeris(settings: EphemerisSettings) -> Iterator[str]:
    """The mistakes that types cannot express, a sentence each."""
    if settings.file not in ("", NONE):
        try:
            FilePattern(settings.file)
        except ValueError as error:
            yield f'ephemeris.file = "{settings.file}": {error}'
    for name, variable in settings.variables.items():
        if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII):
            yield f'ephemeris.variables."{name}": use only letters, digits and "_" in the name'
        elif name in RESERVED_QUANTITIES:
            yield f"ephemeris.variables.{name}: this name is that of another dataset in the store"
        if not variable:
            yield f"ephemeris.variables.{name} is empty; expected the name of a variable"
