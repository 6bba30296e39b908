"""Settings of `fetch`: where the input comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Interval


@dataclass(frozen=True)
class FetchSettings:
    """Where `spectro-mpi fetch` gets the input from; does not affect the results."""

    url: str = ""
    """Address of the archive's folder (http or https); empty: that of the preset."""
    folders: str = ""
    """Folders below it, as "{instrument}/%Y/%m"; empty: those of the preset, or all."""
    ephemeris: str = ""
    """Address and folders of ephemeris files; "none"; empty: of the preset, unless `url` is set."""
    parallel: Annotated[int, Interval(ge=1, le=8)] = 2
    """Files to fetch at a time."""
    hosts: tuple[str, ...] = ()
    """Further hosts that the archive may redirect to."""
    attempts: Annotated[int, Interval(ge=1, le=20)] = 5
    """Attempts in a row that bring nothing until a file or folder is given up."""
    backoff_seconds: Annotated[float, Interval(gt=0, le=600)] = 2.0
    """Pause after the first such attempt; each further one is twice as long."""
    timeout_seconds: Annotated[float, Interval(gt=0, le=3600)] = 60.0
    """Longest time without an answer, or with less than 1 kB a second of it."""
    max_file_mb: Annotated[int, Ge(1)] = 8000
    """Larger files are refused."""

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012
