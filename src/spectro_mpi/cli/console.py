"""Standard output and error: what is printed drives no terminal, and no reader is no traceback."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any, TextIO

from spectro_mpi.inert import inert_lines

_PLAIN = {"–": "-", "×": "x", "→": "->"}
"""Replacements for characters in our output that Unicode does not decompose into ASCII."""


class Console(io.TextIOBase):
    """Writes to a stream what the program prints, with control characters as escapes.

    If the stream cannot be written (closed pipe, full disk), `trouble` says why, and the rest is
    dropped. `write` then raises the error once, unless the command goes on without its output.
    """

    def __init__(self, terminal: TextIO, goes_on: bool) -> None:
        self.terminal = terminal
        """The stream itself, for what may draw on a terminal."""
        self.goes_on = goes_on
        self.trouble: OSError | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.terminal.encoding

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self.terminal.isatty()

    def fileno(self) -> int:
        return self.terminal.fileno()

    def write(self, text: str) -> int:
        if self.trouble is None:
            with self._noticing():
                self.terminal.write(inert_lines(text))
        return len(text)

    def flush(self) -> None:
        if self.trouble is None:
            with self._noticing():
                self.terminal.flush()

    @contextlib.contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.trouble = error
            # What is buffered would fail again when the process exits.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.terminal.fileno())
            os.close(nowhere)
            if not self.goes_on:
                raise


@contextlib.contextmanager
def consoles() -> Iterator[Console]:
    """Replace standard output and error by consoles while inside; gives that of the output."""
    codecs.register_error("nearest", _nearest_letters)
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="nearest")
    out, err = Console(sys.stdout, goes_on=False), Console(sys.stderr, goes_on=True)
    replaced: Any = sys
    replaced.stdout, replaced.stderr = out, err
    try:
        yield out
    finally:
        err.flush()
        sys.stdout, sys.stderr = before


def open_missing_streams() -> None:
    """Open standard streams that the process was started without: their output is dropped.

    Otherwise the next files to be opened, such as those of MPI, would take their places.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _nearest_letters(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that the encoding of the output lacks by the nearest letters."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    letters = (_PLAIN.get(char) or unicodedata.normalize("NFKD", char) for char in missing)
    plain = "".join(word if word.isascii() else "?" for word in letters)
    return plain, error.end
