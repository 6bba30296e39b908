"""Ranks that share the work of a command: each does its part, the first one reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from spectro_mpi.errors import UserError

T = TypeVar("T")


class Team(Protocol):
    """The ranks of a command, as one of them sees them. All methods are called by every rank."""

    rank: int
    """Its place, from 0."""
    size: int
    """How many there are."""

    def from_first(self, value: T) -> T:
        """What the first rank passes, on every rank."""
        ...

    def gather(self, value: T) -> list[T]:
        """What each rank passes, in their order, on the first; elsewhere an empty list."""
        ...


class _Alone:
    """One process, which no launcher started with others."""

    rank, size = 0, 1

    def from_first(self, value: T) -> T:
        return value

    def gather(self, value: T) -> list[T]:
        return [value]


ALONE: Team = _Alone()
"""The team of a command that runs without a launcher."""


def on_first(team: Team, call: Callable[[], T]) -> T:
    """What a call on the first rank returns or, if it is a `UserError`, raises: on every rank."""
    outcome: tuple[list[T], UserError | None] = [], None
    if team.rank == 0:
        try:
            outcome = [call()], None
        except UserError as error:
            outcome = [], error
    returned, trouble = team.from_first(outcome)
    if trouble is not None:
        raise trouble
    return returned[0]
