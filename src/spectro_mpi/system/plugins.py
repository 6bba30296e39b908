"""What installed packages offer by entry points: found by name, loaded one at a time."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from spectro_mpi.errors import UserError


@cache
def installed(group: str) -> dict[str, str]:
    """Name → reference `module:object` of the entry points of a group; nothing is imported."""
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=group)}


def load(reference: str, what: str) -> Any:
    """Import what a reference `module:object` names.

    Raises `UserError`, beginning with `what`, whatever goes wrong in the other package.
    """
    module, _, name = reference.partition(":")
    try:
        return getattr(import_module(module), name)
    except Exception as error:
        raise UserError(
            f"{what}: {reference} cannot be imported ({type(error).__name__}: {error}); fix or "
            "remove the package that offers it"
        ) from error
