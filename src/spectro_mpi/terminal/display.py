"""Progress on the user's screen: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from spectro_mpi.system.activity import Doing
from spectro_mpi.system.launchers import MPIRUN
from spectro_mpi.system.words import duration

if TYPE_CHECKING:
    from rich.console import Console

_BAR_REFRESH_SECONDS = 0.25
_LINE_SECONDS = 5.0
_WORKER_LINES = 16
"""With more workers than this, a summary stands for their lines."""


class Display(Protocol):
    """What the coordinator tells of the run."""

    def begin(self, phase: str, total: int) -> None:
        """A phase of `total` items begins."""
        ...

    def status(self, worker: int, doing: Doing) -> None:
        """What a worker (its rank) is doing."""
        ...

    def advance(self, worker: int, failures: int) -> None:
        """A worker has done an item, with so many failures."""
        ...

    def refresh(self) -> None:
        """Called often; draws when it is time to."""
        ...

    def stop(self, why: str) -> None:
        """The run is stopping: items in hand are finished, no more begun."""
        ...

    def end(self) -> None:
        """The phase, if one was going on, has ended."""
        ...


def make_display(wanted: bool, workers: int) -> Display:
    """The display that suits what standard output is."""
    if not wanted:
        return NoDisplay()
    terminal = _terminal()
    return LineDisplay() if terminal is None else BarDisplay(terminal, workers)


class Displays:
    """Several displays as one."""

    def __init__(self, *displays: Display) -> None:
        self._displays = displays

    def begin(self, phase: str, total: int) -> None:
        for display in self._displays:
            display.begin(phase, total)

    def status(self, worker: int, doing: Doing) -> None:
        for display in self._displays:
            display.status(worker, doing)

    def advance(self, worker: int, failures: int) -> None:
        for display in self._displays:
            display.advance(worker, failures)

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
    """Says nothing."""

    def begin(self, phase: str, total: int) -> None: ...

    def stop(self, why: str) -> None: ...

    def status(self, worker: int, doing: Doing) -> None: ...

    def advance(self, worker: int, failures: int) -> None: ...

    def refresh(self) -> None: ...

    def end(self) -> None: ...


class LineDisplay:
    """A line every few seconds, for logs and pipes."""

    def __init__(self) -> None:
        self._phase, self._total, self._done, self._failed = "", 0, 0, 0
        self._began = self._told = 0.0
        self._running = False

    def begin(self, phase: str, total: int) -> None:
        self._phase, self._total, self._done, self._failed = phase, total, 0, 0
        self._began = self._told = time.monotonic()
        self._running = True

    def status(self, worker: int, doing: Doing) -> None: ...

    def advance(self, worker: int, failures: int) -> None:
        self._done += 1
        self._failed += failures > 0

    def refresh(self) -> None:
        if self._running and time.monotonic() - self._told > _LINE_SECONDS:
            self._tell()

    def stop(self, why: str) -> None:
        print(f"stopping: {why}", flush=True)

    def end(self) -> None:
        if self._running:
            self._running = False
            self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        elapsed = self._told - self._began
        rate = self._done / elapsed if elapsed > 0 else 0.0
        left = f", {duration((self._total - self._done) / rate)} left" if rate else ""
        failed = f", {self._failed} failed" if self._failed else ""
        print(
            f"{self._phase}: {self._done}/{self._total} items{failed}, "
            f"{rate:.2f} items/s{left if self._done < self._total else ''}",
            flush=True,
        )


class BarDisplay:
    """An overall bar with rate and time left, and a line for each worker."""

    def __init__(self, console: Console, workers: int) -> None:
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._workers: dict[int, Doing] = {}
        self._lines = workers <= _WORKER_LINES
        self._failed = 0
        self._drawn = self._began = 0.0
        self._bar = Progress(
            TextColumn("{task.description:8}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            console=console,
        )
        self._task = self._bar.add_task("", total=0, told="")
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._running = False
        self._stopping = ""

    def begin(self, phase: str, total: int) -> None:
        self._workers, self._failed, self._began = {}, 0, time.monotonic()
        self._bar.reset(self._task, total=total, description=phase, told="")
        self._live.start()
        self._running = True

    def status(self, worker: int, doing: Doing) -> None:
        self._workers[worker] = doing

    def advance(self, worker: int, failures: int) -> None:
        self._bar.advance(self._task)
        self._failed += failures > 0

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
        elapsed = self._drawn - self._began
        rate = task.completed / elapsed if elapsed > 0 else 0.0
        left = (task.total or 0) - task.completed
        if not task.completed:
            told = "starting"
        elif left:
            told = f"{rate:.2f} items/s, {duration(left / rate)} left"
        else:
            told = f"{rate:.2f} items/s, took {duration(elapsed)}"
        if self._failed:
            told += f", {self._failed} failed"
        self._bar.update(self._task, told=told)
        lines = [f"  rank {rank:4}  {doing}" for rank, doing in sorted(self._workers.items())]
        if not self._lines and lines:
            steps = Counter(doing.step or "starting" for doing in self._workers.values())
            told = ", ".join(f"{count} on {step}" for step, count in steps.most_common())
            lines = [f"  {len(lines)} workers: {told}"]
        if self._stopping:
            lines.append(self._stopping)
        self._live.update(Group(self._bar, *(Text(line) for line in lines)), refresh=True)


def _terminal() -> Console | None:
    """The terminal that standard output ends up on, also by way of mpirun; None: there is none."""
    launcher = _launcher()
    if launcher is None:
        if not sys.stdout.isatty():
            return None
        from rich.console import Console

        return Console()
    # Under mpirun a rank's own output is a pipe (MPICH) or a terminal nobody sees (Open MPI).
    path = _output_of(launcher)
    if not path.startswith(("/dev/pts/", "/dev/tty")):
        return None
    from rich.console import Console

    descriptor = os.open(path, os.O_RDONLY | os.O_NOCTTY)
    try:
        width = os.get_terminal_size(descriptor).columns
    finally:
        os.close(descriptor)
    # mpirun passes on what a rank writes, escape sequences and all.
    return Console(force_terminal=True, width=width or 80)


def _launcher() -> int | None:
    """The process id of an mpirun above this process."""
    import psutil

    for process in psutil.Process().parents():
        if process.name() in MPIRUN:
            return int(process.pid)
    return None


def _output_of(pid: int) -> str:
    """What a process's standard output is (Linux); empty if that cannot be told."""
    try:
        return str(Path(f"/proc/{pid}/fd/1").readlink())
    except OSError:
        return ""
