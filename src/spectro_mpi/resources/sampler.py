"""Samples this rank and its compute process in a thread, and records what the roles report.

It is a thread because a rank that computes itself (isolation "none") is busy for seconds. The
thread reads the memory in use five times per second, which takes some microseconds. It writes a
row every few seconds, or at once when memory reaches a new maximum: if the rank is killed, the
curve up to then is on disk.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spectro_mpi.resources.lines import LineFile, read_lines
from spectro_mpi.resources.sampling import Ending, Sampling, Station
from spectro_mpi.resources.tables import SAMPLES_KEPT, Samples, rows_of, table_of, thin
from spectro_mpi.system import activity
from spectro_mpi.system.activity import ACTIVITIES
from spectro_mpi.system.limits import cgroup_limit, cores_allowed
from spectro_mpi.system.scheduler import current

log = logging.getLogger(__name__)

_TICK = 0.2
"""Seconds between two readings of memory."""

_MORE, _MORE_MB = 1.1, 64.0
"""Growth over the highest memory so far that writes a row at once: as a factor, and in MB."""

_REMEMBERED = 0.9
"""Factor by which the highest memory is lowered after each row."""
_LEAST_ROWS = 240

_LATEST = 60
"""Number of rows at the end that are not thinned: the last minutes."""

_FULL_LINES = 256
"""Limit of rows in memory; more are written at once."""
_MB = 2**20


class Sampler(Sampling):
    """Samples into the rank's file of lines.

    If the file cannot be written, sampling stops and the run continues.
    """

    def __init__(self, run_dir: Path, station: Station, interval: float) -> None:
        self._interval = interval
        self._offset = time.time() - time.monotonic()
        self._lock = threading.Lock()
        """Protects the attributes below: the roles and the thread change them."""
        self._task = _CurrentTask()
        self._rank_process = _Process(os.getpid())
        self._child: _Process | None = None
        self._shown = activity.shown_by_this_process()
        self._node = _Node() if station.leads_node else None
        self._highest = 0.0
        self._oom_kills = oom_kills()
        self._sampled = time.monotonic()
        self._rows = 0
        """Number of samples in the file."""
        self._most = max(_LEAST_ROWS, SAMPLES_KEPT // station.size)
        self._width = interval
        self._waiting: list[tuple[str, Sequence[Any]]] = []
        self._identity = _identity(station, interval, self._sampled + self._offset)
        self._file: LineFile | None = None
        self._full: LineFile | None = None
        """The file, after a write to it has failed."""
        with self._output():
            self._file = LineFile(run_dir, station.rank)
            self._file.append([("ranks", list(self._identity.values()))])
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sampler", daemon=True)
        self._thread.start()

    def begins(self, phase: str, item: str) -> None:
        with self._lock:
            self._task = _CurrentTask(phase, item, time.monotonic())

    def step(self, name: str) -> None:
        self._task.step = name

    def child(self, pid: int, shown: Any) -> None:
        with self._lock:
            self._child, self._shown, self._highest = _Process(pid), shown, 0.0

    def memory(self, megabytes: float) -> None:
        with self._lock:
            self._saw_child(megabytes)

    def child_lost(self, reason: str, message: str, limit: float = 0.0) -> None:
        with self._lock:
            task, peak = self._task, self._child.highest if self._child else 0.0
            kills = max(0, oom_kills() - self._oom_kills)
            at = (task.phase, task.item, task.step, activity.name_of(self._shown))
            now = self._sample()  # The last sample of this process.
            row = (now, *at, reason, message, round(peak, 1), round(limit, 1), kills)
            self._waiting.append(("ends", row))
            self._child = None
            self._flush()

    def done(
        self,
        phase: str,
        item: str,
        size: int,
        seconds: float,
        failures: int,
        spent: Sequence[float],
    ) -> None:
        idle = (0.0,) * (len(ACTIVITIES) - 1)
        with self._lock:
            begin, peak = self._task.began, self._task.peak
            spent = spent or (seconds, *idle)
            self._add_step(begin, seconds, phase, item, size, failures, peak, spent)
            self._task = _CurrentTask()

    def wrote(self, phase: str, nbytes: int, seconds: float) -> None:
        spent = (*(0.0 for _ in ACTIVITIES[1:]), seconds)
        began = time.monotonic() - seconds
        with self._lock:
            self._add_step(began, seconds, f"write {phase}", "", nbytes, 0, 0.0, spent)

    def plan(self, phase: str, stacks: Sequence[tuple[int, int, int]]) -> None:
        with self._lock:
            now = self._now()
            self._waiting += [("plans", (now, phase, *stack)) for stack in stacks]

    def close(self, ending: Ending) -> None:
        self._ended.set()
        self._thread.join()
        with self._lock:
            self._sample()
            self._identity |= {
                "ended": self._now(),
                "ending": ending.words or "done",
                "cause": ending.cause or "done",
            }
            self._waiting.append(("ranks", list(self._identity.values())))
            if self._full is not None:
                # The disk may have space again: try once more to record how the rank ended.
                self._file, self._waiting = self._full, self._waiting[-1:]
            self._flush()
            for file in (self._file, self._full):
                if file is not None:
                    file.close()
            self._file = None

    def _watch(self) -> None:
        """Sample until `close`; the target of the thread."""
        while not self._ended.wait(min(_TICK, self._interval)):
            with self._lock:
                memory = self._look()
                due = time.monotonic() - self._sampled >= self._interval
                if due or memory > max(_MORE * self._highest, self._highest + _MORE_MB):
                    self._highest = max(memory, _REMEMBERED * self._highest)
                    self._sample()
                    self._flush()

    def _look(self) -> float:
        """Update the peaks; return the memory of rank and compute process in MB."""
        of_rank = self._rank_process.resident()
        self._rank_process.highest = max(self._rank_process.highest, of_rank)
        if self._child is None:
            self._task.peak = max(self._task.peak, of_rank)
            return of_rank
        of_child = self._child.resident()
        self._saw_child(of_child)
        return of_rank + of_child

    def _saw_child(self, megabytes: float) -> None:
        if self._child is not None:
            self._child.highest = max(self._child.highest, megabytes)
        self._task.peak = max(self._task.peak, megabytes)

    def _sample(self) -> float:
        """Add a row for the time since the last row, and a row of the node; return its time."""
        now = time.monotonic()
        seconds = max(now - self._sampled, 1e-6)
        self._sampled = now
        self._look()
        rank, child, task = self._rank_process, self._child, self._task
        loads = (rank.cpu() / seconds, child.cpu() / seconds if child is not None else 0.0)
        moved = (child or rank).moved()
        memory = (rank.take_highest(), child.take_highest() if child is not None else 0.0)
        numbers = [round(value, 4) for value in (seconds, *loads, *memory, *moved)]
        words = [task.phase, task.item, task.step]
        at = activity.name_of(self._shown) if task.phase else ""
        time_of_row = self._now()
        self._rows += 1
        self._waiting.append(("samples", [time_of_row, *numbers, *words, at]))
        if self._node is not None:
            self._waiting.append(("nodes", (time_of_row, *self._node.totals(seconds))))
        self._oom_kills = oom_kills()
        return time_of_row

    def _add_step(self, begin: float, *columns: Any) -> None:
        *numbers, spent = columns
        rounded = [round(value, 4) if isinstance(value, float) else value for value in numbers]
        begin = round(begin + self._offset, 4)
        self._waiting.append(("steps", (begin, *rounded, [round(seconds, 4) for seconds in spent])))
        if len(self._waiting) > _FULL_LINES:
            self._flush()

    def _flush(self) -> None:
        """Write the waiting rows to the file."""
        waiting, self._waiting = self._waiting, []
        if self._file is None:
            return
        with self._output():
            self._file.append(waiting)
            if self._rows > self._most:
                self._thin(self._file)

    def _thin(self, file: LineFile) -> None:
        # Read from the file: rows that are written are not kept in memory.
        whole = table_of(Samples, ((0, 0, *row) for row in read_lines(file.path)["samples"]))
        thinned = whole
        while len(thinned) > self._most // 2:
            self._width *= 2
            thinned = thin(whole, self._width, _LATEST)
        self._rows = len(thinned)
        file.replace("samples", [row[2:] for row in rows_of(thinned)])

    def _now(self) -> float:
        return round(time.monotonic() + self._offset, 3)

    @contextlib.contextmanager
    def _output(self) -> Iterator[None]:
        """Wraps every write; an error stops the sampling.

        It is only a warning: on a full disk, the writer of the results reports the error.
        """
        try:
            yield
        except OSError as error:
            log.warning("resource sampling stopped: %s", error)
            self._file, self._full = None, self._file


@dataclass
class _CurrentTask:
    """The task that the rank is computing; empty texts if it is idle."""

    phase: str = ""
    item: str = ""
    began: float = 0.0
    step: str = ""
    peak: float = 0.0
    """Highest memory of the process that computes it, since it began, in MB."""


class _Process:
    """A process, with counters of what it used since the last call of each method."""

    def __init__(self, pid: int) -> None:
        import psutil

        self.highest = 0.0
        """Highest memory since the last `take_highest`, in MB."""
        self._gone: type[Exception] = psutil.Error
        self._process: psutil.Process | None = None
        with contextlib.suppress(psutil.Error):
            self._process = psutil.Process(pid)
        self._cpu = self._read = self._written = 0.0
        if pid == os.getpid():
            self.cpu()
            self.moved()

    def resident(self) -> float:
        """Return the resident memory in MB; 0 if the process has ended."""
        with contextlib.suppress(self._gone):
            if self._process is not None:
                return float(self._process.memory_info().rss) / _MB
        return 0.0

    def cpu(self) -> float:
        """Return the CPU time in seconds since the last call."""
        before = self._cpu
        with contextlib.suppress(self._gone):
            if self._process is not None:
                times = self._process.cpu_times()
                self._cpu = float(times.user + times.system)
        return self._cpu - before

    def moved(self) -> tuple[float, float]:
        """Return the MB read and written by system calls since the last call (Linux)."""
        read, written = self._read, self._written
        with contextlib.suppress(self._gone, AttributeError):
            if self._process is not None:
                counters = self._process.io_counters()
                self._read = counters.read_chars / _MB
                self._written = counters.write_chars / _MB
        return self._read - read, self._written - written

    def take_highest(self) -> float:
        """Return the highest memory since the last call, in MB."""
        highest, self.highest = self.highest, 0.0
        return highest


class _Node:
    """Load and memory of the whole node."""

    def __init__(self) -> None:
        self._host = socket.gethostname()
        self._busy = 0.0
        self.totals(1.0)

    def totals(self, seconds: float) -> tuple[str, float, float, float, int]:
        """Return host, load, busy cores, available MB and the number of OOM kills.

        `seconds` is the time since the last call.
        """
        import psutil

        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        # `user` includes the time of guests already.
        twice = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        before, self._busy = self._busy, sum(times) - idle - twice
        load = os.getloadavg()[0]
        available = psutil.virtual_memory().available / _MB
        busy = (self._busy - before) / seconds
        return self._host, round(load, 2), round(busy, 3), round(available, 1), oom_kills()


def oom_kills() -> int:
    """Return how many processes the kernel has killed for memory since boot (Linux)."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_bytes().splitlines():
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
    return 0


def _identity(station: Station, interval: float, began: float) -> dict[str, Any]:
    """Return the row of this rank in the table `ranks`."""
    import psutil

    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "roles": station.roles,
        "began": began,
        "ended": math.nan,
        "ending": "",
        "interval": interval,
        "cores": cores_allowed(),
        "memory": round(psutil.virtual_memory().total / _MB, 1),
        "limit": round(cgroup_limit() / _MB, 1),
        "job": current().own_job().id,
        "job_ends": station.job_ends,
        "cause": "",
    }
