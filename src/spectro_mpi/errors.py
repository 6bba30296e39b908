"""What can go wrong: sentences for the user, and recorded reasons where the run goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reason = Literal[
    "timeout",
    "invalid-cdf",
    "divide-by-zero",
    "plotting",
    "out-of-memory",
    "killed",
    "generic",
]

REASONS: tuple[Reason, ...] = (
    "timeout",
    "invalid-cdf",
    "divide-by-zero",
    "plotting",
    "out-of-memory",
    "killed",
    "generic",
)


class UserError(Exception):
    """A mistake of the user's, told in one sentence: what, where, what to do (exit code 2)."""

    exit_code = 2


class RunError(UserError):
    """Trouble that is not the user's settings but stops the run, in one sentence (exit code 1)."""

    exit_code = 1


class InvalidCdfError(Exception):
    """A CDF file that cannot be read, or does not hold what its kind promises."""


@dataclass(frozen=True)
class Failure:
    """Why one instrument of one item could not be done."""

    instrument: str
    phase: str
    reason: Reason
    message: str


def reason_of(error: BaseException, phase: str) -> Reason:
    """The recorded reason for `error`, from its kind and the phase it ended, never its words."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, MemoryError):
        return "out-of-memory"
    if isinstance(error, InvalidCdfError):
        return "invalid-cdf"
    if isinstance(error, ZeroDivisionError | FloatingPointError):
        return "divide-by-zero"
    if phase == "plot" and not isinstance(error, OSError):
        return "plotting"
    return "generic"
