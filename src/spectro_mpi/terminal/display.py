"""Progress display: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from spectro_mpi.inert import inert
from spectro_mpi.rundir.counts import PhaseCount
from spectro_mpi.system.activity import Doing
from spectro_mpi.system.launchers import MPIRUN
from spectro_mpi.system.words import duration, not_on_disk

if TYPE_CHECKING:
    from rich.console import Console

_BAR_REFRESH_SECONDS = 0.25
_LINE_SECONDS = 5.0
_BAR_WIDTH = 16
_WORKER_LINES = 16
"""With more workers than this, one summary replaces their lines."""


class Display(Protocol):
    """Receives the progress of the run from the coordinator."""

    def begin(self, phase: str, total: int, before: PhaseCount | None = None) -> None:
        """Begin a phase of `total` items.

        `before`: the counts of all items of the run in it, of which `total` are left; None: only
        these count.
        """
        ...

    def status(self, worker: int, doing: Doing) -> None:
        """Show what a worker (its rank) is doing."""
        ...

    def advance(self, failures: int) -> None:
        """Count an item that is done and on disk, with its number of failures."""
        ...

    def uncommitted(self, items: int, writer_waits: float) -> None:
        """Show how many items are computed and not on disk.

        `writer_waits`: how long the writer has been waiting for the file system, s.
        """
        ...

    def refresh(self) -> None:
        """Draw if it is time to; called often."""
        ...

    def stop(self, why: str) -> None:
        """Show that the run is stopping: it finishes current items and begins no more."""
        ...

    def end(self) -> None:
        """End the phase, if one was running."""
        ...


def make_display(visible: bool, workers: int) -> Display:
    """Make the display that suits standard output; if not `visible`, one that prints nothing."""
    if not visible:
        return NoDisplay()
    terminal = _terminal()
    return LineDisplay() if terminal is None else BarDisplay(terminal, workers)


class Displays:
    """Passes every call on to several displays."""

    def __init__(self, *displays: Display) -> None:
        self._displays = displays

    def begin(self, phase: str, total: int, before: PhaseCount | None = None) -> None:
        for display in self._displays:
            display.begin(phase, total, before)

    def status(self, worker: int, doing: Doing) -> None:
        for display in self._displays:
            display.status(worker, doing)

    def advance(self, failures: int) -> None:
        for display in self._displays:
            display.advance(failures)

    def uncommitted(self, items: int, writer_waits: float) -> None:
        for display in self._displays:
            display.uncommitted(items, writer_waits)

    def refresh(self) -> None:
        for display in self._displays:
            display.refresh()

    def stop(self, why: str) -> None:
        for display in self._displays:
            display.stop(why)

    def end(self) -> None:
        for display in self._displays:
            display.end()


class NoDisplay:
    """Prints nothing."""

    def begin(self, phase: str, total: int, before: PhaseCount | None = None) -> None: ...

    def stop(self, why: str) -> None: ...

    def status(self, worker: int, doing: Doing) -> None: ...

    def advance(self, failures: int) -> None: ...

    def uncommitted(self, items: int, writer_waits: float) -> None: ...

    def refresh(self) -> None: ...

    def end(self) -> None: ...


class LineDisplay:
    """Prints a line every few seconds, for logs and pipes."""

    def __init__(self) -> None:
        self._phase, self._total, self._done, self._failed = "", 0, 0, 0
        self._began = self._printed = 0.0
        self._running = False
        self._not_on_disk = ""
        self._before = PhaseCount("", 0, 0, 0)

    def begin(self, phase: str, total: int, before: PhaseCount | None = None) -> None:
        self._phase, self._total, self._done, self._failed = phase, total, 0, 0
        self._before = before or PhaseCount(phase, 0, 0, total)
        self._began = self._printed = time.monotonic()
        self._running = True

    def status(self, worker: int, doing: Doing) -> None: ...

    def advance(self, failures: int) -> None:
        self._done += 1
        self._failed += failures > 0

    def uncommitted(self, items: int, writer_waits: float) -> None:
        self._not_on_disk = not_on_disk(items, writer_waits)

    def refresh(self) -> None:
        if self._running and time.monotonic() - self._printed > _LINE_SECONDS:
            self._print()

    def stop(self, why: str) -> None:
        print(f"stopping: {why}", flush=True)

    def end(self) -> None:
        if self._running:
            self._running = False
            self._print()

    def _print(self) -> None:
        self._printed = time.monotonic()
        elapsed = self._printed - self._began
        rate = self._done / elapsed if elapsed > 0 else 0.0
        left = f", {duration((self._total - self._done) / rate)} left" if rate else ""
        counted = self._before.with_more(self._done - self._failed, self._failed)
        print(
            f"{self._phase}: {counted.words}; "
            f"{rate:.2f} items/s{left if self._done < self._total else ''}{self._not_on_disk}",
            flush=True,
        )


class BarDisplay:
    """Draws a bar with rate and time left, and a line per worker."""

    def __init__(self, console: Console, workers: int) -> None:
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn

        self._workers: dict[int, Doing] = {}
        self._lines = workers <= _WORKER_LINES
        self._failed = 0
        self._drawn = self._began = 0.0
        self._bar = Progress(
            TextColumn("{task.description:8}"),
            BarColumn(bar_width=_BAR_WIDTH),
            TextColumn("{task.fields[summary]}"),
            console=console,
        )
        self._task = self._bar.add_task("", total=0, summary="")
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._running = False
        self._stopping = self._not_on_disk = ""
        self._before = PhaseCount("", 0, 0, 0)

    def begin(self, phase: str, total: int, before: PhaseCount | None = None) -> None:
        self._workers, self._failed, self._began = {}, 0, time.monotonic()
        self._before = before or PhaseCount(phase, 0, 0, total)
        self._bar.reset(self._task, total=total, description=phase, summary="")
        self._live.start()
        self._running = True

    def status(self, worker: int, doing: Doing) -> None:
        self._workers[worker] = doing

    def advance(self, failures: int) -> None:
        self._bar.advance(self._task)
        self._failed += failures > 0

    def uncommitted(self, items: int, writer_waits: float) -> None:
        self._not_on_disk = not_on_disk(items, writer_waits)

    def refresh(self) -> None:
        if self._running and time.monotonic() - self._drawn > _BAR_REFRESH_SECONDS:
            self._draw()

    def stop(self, why: str) -> None:
        self._stopping = f"  stopping: {why}"

    def end(self) -> None:
        if self._running:
            self._running = False
            self._workers = {}
            self._draw()
            self._live.stop()

    def _draw(self) -> None:
        from rich.console import Group
        from rich.text import Text

        self._drawn = time.monotonic()
        task = self._bar.tasks[0]
        completed = round(task.completed)
        counted = self._before.with_more(completed - self._failed, self._failed)
        elapsed = self._drawn - self._began
        rate = task.completed / elapsed if elapsed > 0 else 0.0
        left = (task.total or 0) - task.completed
        if not task.completed:
            summary = "starting"
        elif left:
            summary = f"{counted.words}; {rate:.2f} items/s, {duration(left / rate)} left"
        else:
            summary = f"{counted.words}; {rate:.2f} items/s, took {duration(elapsed)}"
        summary += self._not_on_disk
        self._bar.update(self._task, summary=summary)
        lines = [f"  rank {rank:4}  {doing}" for rank, doing in sorted(self._workers.items())]
        if not self._lines and lines:
            steps = Counter(doing.step or "starting" for doing in self._workers.values())
            counts = ", ".join(f"{count} on {step}" for step, count in steps.most_common())
            lines = [f"  {len(lines)} workers: {counts}"]
        if self._stopping:
            lines.append(self._stopping)
        self._live.update(Group(self._bar, *(Text(inert(line)) for line in lines)), refresh=True)


def _terminal() -> Console | None:
    """The terminal of standard output, also behind mpirun; None if it is not a terminal."""
    launcher = _launcher()
    if launcher is None:
        if not sys.stdout.isatty():
            return None
        from rich.console import Console

        return Console(file=getattr(sys.stdout, "terminal", sys.stdout))
    # Under mpirun the output of a rank is a pipe (MPICH) or an invisible terminal (Open MPI).
    path = _output_of(launcher)
    if not path.startswith(("/dev/pts/", "/dev/tty")):
        return None
    from rich.console import Console

    descriptor = os.open(path, os.O_RDONLY | os.O_NOCTTY)
    try:
        width = os.get_terminal_size(descriptor).columns
    finally:
        os.close(descriptor)
    # mpirun passes on all output of a rank, including escape sequences.
    stream = getattr(sys.stdout, "terminal", sys.stdout)
    return Console(file=stream, force_terminal=True, width=width or 80)


def _launcher() -> int | None:
    """The process id of the mpirun that started this process; None if there is none."""
    import psutil

    for process in psutil.Process().parents():
        if process.name() in MPIRUN:
            return int(process.pid)
    return None


def _output_of(pid: int) -> str:
    """The path of a process's standard output (Linux); empty if unknown."""
    try:
        return str(Path(f"/proc/{pid}/fd/1").readlink())
    except OSError:
        return ""
