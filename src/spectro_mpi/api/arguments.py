"""Arguments of API functions, checked with a sentence for whoever gave a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spectro_mpi.errors import UserError


def path_of(name: str, value: Any) -> Path:
    """The path that the argument `name` gives. Raises `UserError`."""
    try:
        return Path(value)
    except TypeError:
        raise UserError(f"{name} = {value!r}: expected a path") from None


def count_of(name: str, value: Any) -> int:
    """The whole number of at least 1 that the argument `name` gives. Raises `UserError`."""
    try:
        number = int(value)
        if number >= 1 and number == value:
            return number
    except (TypeError, ValueError, OverflowError):
        pass
    raise UserError(f"{name} = {value!r}: expected a whole number of at least 1")


def one_of(**given: Any) -> Any:
    """The value of two arguments that mean the same; None if neither is given.

    Raises `UserError` if both are.
    """
    there = [value for value in given.values() if value is not None]
    if len(there) > 1:
        raise UserError(f"{' and '.join(given)} mean the same: give one")
    return there[0] if there else None
