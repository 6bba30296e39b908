"""Errors: exceptions whose message is one sentence for the user, and failures a run records."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from spectro_mpi.inert import inert

Reason = Literal[
    "timeout",
    "invalid-cdf",
    "no-data",
    "divide-by-zero",
    "plotting",
    "out-of-memory",
    "killed",
    "generic",
]

REASONS: tuple[Reason, ...] = get_args(Reason)

Cause = Literal[
    "wall-time",
    "node-lost",
    "out-of-memory",
    "disk-full",
    "output-lost",
    "exception",
    "cancelled",
    "killed",
    "stopped",
]
"""Why a run ended before it was done; the earlier, the likelier the reason for the others."""

STOPPED = 75
SOME_FAILED = 3
"""Exit codes of a run that stopped early on request, and of one with failed items."""


class UserError(Exception):
    """A user's mistake. The message is one sentence: what, where, what to do (exit code 2).

    Several arguments are several mistakes, a line each. Text from outside in them is `inert`.
    """

    exit_code = 2

    def __str__(self) -> str:
        return "\n".join(inert(str(line)) for line in self.args)


class RunError(UserError):
    """A problem other than the settings that stops the run, in one sentence (exit code 1)."""

    exit_code = 1
    cause: Cause = "exception"
    """What it says of the end of the run."""


class DiskFullError(RunError):
    """There is no room for the output."""

    cause: Cause = "disk-full"


class OutputLostError(RunError):
    """The output cannot be written, for another reason."""

    cause: Cause = "output-lost"


class StoppedError(RunError):
    """The user asked for a stop before anything had begun (exit code 75: run again)."""

    exit_code = 75
    cause: Cause = "stopped"


class DamagedStateError(RunError):
    """A file of the run directory is not what this program wrote."""

    def __init__(self, path: Path, why: str, what_to_do: str) -> None:
        super().__init__(f"{path}: is damaged ({why}); {what_to_do}")
        self.why = why
        """What is wrong with it."""


_FULL = (errno.ENOSPC, errno.EDQUOT)
_WHAT_TO_DO = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EROFS: "make it writable",
    errno.EACCES: "make it writable",
    errno.EPERM: "make it writable",
    errno.ENOENT: "restore it (or let the next run recreate it)",
    errno.ENOTDIR: "restore it (or let the next run recreate it)",
    errno.ESTALE: "restore it",
}


def output_trouble(path: Path, error: OSError) -> RunError:
    """The `RunError` for output that cannot be written: which path, why, what to do."""
    # HDF5's messages are long and do not name the file.
    why = os.strerror(error.errno) if error.errno else str(error)
    what_to_do = _WHAT_TO_DO.get(error.errno or 0, "fix this")
    kind = DiskFullError if error.errno in _FULL else OutputLostError
    return kind(
        f"{error.filename or path}: the output cannot be written: {why}; {what_to_do} and "
        "run again to go on; what progress.json lists as complete is safe"
    )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Wraps the writing of output to `path`: turns an `OSError` into the `RunError` to report."""
    try:
        yield
    except OSError as error:
        raise output_trouble(path, error) from error


class InvalidCdfError(Exception):
    """A CDF file that cannot be read, or lacks what the program needs from it."""

    def __str__(self) -> str:
        return inert(super().__str__())


class NoRecordsError(InvalidCdfError):
    """A CDF file that can be read, and has no valid record."""


class NoDataError(Exception):
    """An item that there are no data of."""


@dataclass(frozen=True)
class Failure:
    """Why one instrument of one item failed."""

    instrument: str
    phase: str
    reason: Reason
    message: str

    def __post_init__(self) -> None:
        for name in ("instrument", "phase", "message"):
            object.__setattr__(self, name, inert(getattr(self, name)))


def reason_of(error: BaseException, phase: str) -> Reason:
    """The recorded reason for `error`, by its type and the phase it occurred in, not its text."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, MemoryError):
        return "out-of-memory"
    if isinstance(error, NoDataError | NoRecordsError):
        return "no-data"
    if isinstance(error, InvalidCdfError):
        return "invalid-cdf"
    if isinstance(error, ZeroDivisionError | FloatingPointError):
        return "divide-by-zero"
    if phase == "plot" and not isinstance(error, OSError):
        return "plotting"
    return "generic"
