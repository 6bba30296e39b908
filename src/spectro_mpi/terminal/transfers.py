"""Progress of transfers and exports: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from spectro_mpi.inert import inert
from spectro_mpi.system.words import count, duration

if TYPE_CHECKING:
    from rich.progress import Progress

_LINE_SECONDS = 5.0
_MB = 1e6


class TransferDisplay:
    """Shows how far a search of an archive and the transfers are."""

    def __init__(self, visible: bool, what: str = "fetch", noun: str = "file") -> None:
        """With `visible` false, it prints nothing. `what` is done with each `noun`."""
        self._visible = visible
        self._what, self._noun = what, noun
        self._began = self._printed = time.monotonic()
        self._bar: Progress | None = None

    def listing(self, count: int, folder: str) -> None:
        """Show that the listing of a folder is read, the `count`-th one."""
        if self._is_time():
            print(f"looking into folder {count}: {inert(folder)}", flush=True)

    def begin(self, files: int, size: int) -> None:
        """Begin with `files`, which have about `size` bytes in all; 0: not known."""
        self._files, self._size = files, size
        self._began = self._printed = time.monotonic()
        if not self._visible or not sys.stdout.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        console = Console(file=getattr(sys.stdout, "terminal", sys.stdout))
        columns = TextColumn(self._what), BarColumn(), TextColumn("{task.description}")
        self._bar = Progress(*columns, console=console)
        self._bar.add_task("", total=size or files)
        self._bar.start()

    def show(self, done: int, failed: int, size: int) -> None:
        """Show that so many files are done or failed, and how many bytes have come."""
        text = self._text(done, failed, size)
        if self._bar is not None:
            task = self._bar.tasks[0].id
            completed = min(size, self._size) if self._size else done
            self._bar.update(task, completed=completed, description=text)
        elif self._is_time():
            print(f"{self._what}: {text}", flush=True)

    def end(self) -> None:
        """End the display."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _is_time(self) -> bool:
        now = time.monotonic()
        if not self._visible or now - self._printed < _LINE_SECONDS:
            return False
        self._printed = now
        return True

    def _text(self, done: int, failed: int, size: int) -> str:
        spent = time.monotonic() - self._began
        rate = size / spent if spent > 1 else 0.0
        total = f" of {self._size / _MB:.1f}" if self._size else ""
        failures = f", {failed} failed" if failed else ""
        left = ""
        if rate > 0 and self._size > size:
            left = f", {duration((self._size - size) / rate)} left"
        return (
            f"{done} of {count(self._files, self._noun)}{failures}, {size / _MB:.1f}{total} MB, "
            f"{rate / _MB:.2f} MB/s{left}"
        )
