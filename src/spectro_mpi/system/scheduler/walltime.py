"""Wall times in the notation of schedulers."""

from __future__ import annotations

import re

_NUMBER = r"(\d{1,9})"
_WALLTIME = re.compile(rf"(?:{_NUMBER}-)?{_NUMBER}(?::{_NUMBER})?(?::{_NUMBER})?", re.ASCII)


def seconds_of(walltime: str) -> float:
    """Seconds of a wall time in the notation of Slurm: minutes, MM:SS, HH:MM:SS, D-HH[:MM[:SS]].

    Raises `ValueError` for anything else.
    """
    match = _WALLTIME.fullmatch(walltime.strip())
    if match is None:
        raise ValueError(f'"{walltime}" is not a wall time such as 90, 01:30:00 or 1-12')
    days, *rest = match.groups()
    numbers = [int(part) for part in rest if part is not None]
    # The first number is hours after a day or if there are three numbers, otherwise minutes.
    first = 3600.0 if days is not None or len(numbers) == 3 else 60.0
    seconds = sum(number * first / 60.0**place for place, number in enumerate(numbers))
    return int(days or 0) * 86400.0 + seconds
