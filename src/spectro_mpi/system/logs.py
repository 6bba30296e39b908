"""The log of a rank, buffered until an error; and marks that identify failures in logs."""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import os
import re
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from spectro_mpi.errors import RunError, output_trouble
from spectro_mpi.inert import inert, inert_lines, is_inert

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
LEVELS = ("debug", "info", "warning", "error")
"""What `--log-level` may be."""
_LEVEL = "SPECTRO_MPI_LOG_LEVEL"
_WORDY = ("matplotlib", "PIL", "h5py", "asyncio")
"""Libraries whose debug messages would hide all others."""


def set_log_level(level: str) -> None:
    """Set the level of the logs, one of `LEVELS`, of this process and those it starts."""
    os.environ[_LEVEL] = level


def log_level(default: int) -> int:
    """The level of the logs that was set, or `default` if none was."""
    word = os.environ.get(_LEVEL, "").lower()
    return getattr(logging, word.upper()) if word in LEVELS else default


_MARK = "failure "
_OLD_FAILURE = re.compile(
    r" ERROR [\w.]+: item (?P<item>.+?) (?P<instrument>\S+) in phase (?P<phase>\w+): "
)
"""A failure in a log of version 0.1."""


class FailureMark(NamedTuple):
    """Identifies the failure that a line of a log reports."""

    item: str
    instrument: str
    phase: str

    def __str__(self) -> str:
        """The mark as written to the log: JSON, so that names may contain anything."""
        readable = json.dumps(self, ensure_ascii=False)
        return _MARK + (readable if is_inert(readable) else json.dumps(self))


def failure_mark_in(line: str) -> FailureMark | None:
    """The mark in a line that reports a failure; None for any other line."""
    if " ERROR " not in line:
        return None
    place = line.find(f": {_MARK}[")
    if place >= 0:
        with contextlib.suppress(ValueError, TypeError):
            names, _ = json.JSONDecoder().raw_decode(line, place + len(_MARK) + 2)
            return FailureMark(*names)
    old = _OLD_FAILURE.search(line)
    return FailureMark(**old.groupdict()) if old else None


class _Lines(logging.Formatter):
    """Formats a record as one line, followed by the lines of its traceback if it has one.

    Times are UTC.
    """

    converter = staticmethod(time.gmtime)
    default_msec_format = "%s,%03d UTC"

    def formatMessage(self, record: logging.LogRecord) -> str:
        return inert(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return inert_lines(super().formatException(ei))


class _LogFile(logging.FileHandler):
    """A log file that keeps its first write error instead of raising it."""

    trouble: OSError | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.trouble is None:
            try:
                super().emit(record)
            except OSError as error:  # from opening the file
                self.trouble = error

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self.trouble = error
        else:
            super().handleError(record)

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            self.trouble = self.trouble or error


class RankLog:
    """The log of one rank. The file is created when the first record is written."""

    def __init__(self, path: Path, records: int) -> None:
        """Start to log to `path`, writing `records` at a time.

        Raises `OSError` if its folder cannot be created.
        """
        path.parent.mkdir(exist_ok=True)
        self._file = _LogFile(path, delay=True, encoding="utf-8")
        self._file.setFormatter(_Lines(FORMAT))
        self._held = logging.handlers.MemoryHandler(
            records, flushLevel=logging.ERROR, target=self._file
        )
        root = logging.getLogger()
        root.addHandler(self._held)
        root.setLevel(log_level(logging.INFO))
        for library in _WORDY:
            logging.getLogger(library).setLevel(logging.INFO)
        logging.captureWarnings(True)

    @property
    def trouble(self) -> RunError | None:
        """Why the log cannot be written; None if it can."""
        error = self._file.trouble
        return output_trouble(Path(self._file.baseFilename), error) if error else None

    def close(self) -> None:
        """Write buffered records and close the file."""
        logging.getLogger().removeHandler(self._held)
        self._held.close()
        self._file.close()
