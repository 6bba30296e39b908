"""The pages of a run that is looked at while it goes on: made anew when the run has changed."""

from __future__ import annotations

import multiprocessing
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spectro_mpi.operations.status import Status, now_of, read_status
from spectro_mpi.report.pages import make_served_pages
from spectro_mpi.rundir.layout import EXTREMA, JOURNAL, PROGRESS
from spectro_mpi.system.processes import start

_STATE_SECONDS = 2.0
_PAGES_SECONDS = 10.0
_SHARE = 3.0
"""The state is not read, and pages are not made, more often than this times what it takes."""


class LivePages:
    """The pages of a run in a folder of their own, and the state of the run.

    Nothing is done unless somebody asks.
    """

    def __init__(self, run_dir: Path, folder: Path) -> None:
        """Make the pages in `folder`.

        Raises `UserError` if `run_dir` is not a run directory, and `RunError` if the pages cannot
        be written.
        """
        self._run_dir, self.folder = run_dir, folder
        self._lock = threading.Lock()
        self._version = 1
        self._state: dict[str, Any] = {}
        self._read_again = 0.0
        self._made_of = self._looks()
        self._made_in = read_status(run_dir).state
        self._maker: Any = None
        make_served_pages(run_dir, folder, str(self._version))
        self._began = time.monotonic()
        self._make_again = self._began + _PAGES_SECONDS

    def state(self) -> dict[str, Any]:
        """The state of the run for the page; begins to make the pages anew if it has changed.

        Raises `UserError` if the directory of the run is gone.
        """
        with self._lock:
            self._finish()
            now = time.monotonic()
            if now >= self._read_again:
                self._state = state_of(read_status(self._run_dir))
                took = time.monotonic() - now
                self._read_again = now + took + max(_STATE_SECONDS, _SHARE * took)
            looks, state = self._looks(), self._state["state"]
            # What has begun or ended is shown at once.
            due = state != self._made_in or (now >= self._make_again and looks != self._made_of)
            if self._maker is None and due:
                self._made_in = state
                self._begin(looks)
            return {**self._state, "version": str(self._version)}

    def close(self) -> None:
        """End the process that makes pages, if there is one."""
        with self._lock:
            if self._maker is not None:
                self._maker.terminate()
                self._maker.join()
                self._maker = None

    def _looks(self) -> tuple[Any, ...]:
        """What changes when the pages would."""
        return tuple(_look(self._run_dir / name) for name in (PROGRESS, JOURNAL, EXTREMA))

    def _begin(self, looks: tuple[Any, ...]) -> None:
        """Make the pages in a process of its own: it may take half a minute of computing."""
        arguments = (self._run_dir, self.folder, str(self._version + 1))
        context = multiprocessing.get_context("spawn")
        # It does not die with its parent, which on Linux means the thread of this request.
        self._maker = context.Process(target=make_served_pages, args=arguments)
        self._made_of, self._began = looks, time.monotonic()
        start(self._maker)

    def _finish(self) -> None:
        """Take notice of a process that has made the pages; if it failed, it is tried again."""
        if self._maker is not None and not self._maker.is_alive():
            self._maker.join()
            if self._maker.exitcode == 0:
                self._version += 1
            else:
                self._made_of = ()
            self._maker = None
            now = time.monotonic()
            self._make_again = now + max(_PAGES_SECONDS, _SHARE * (now - self._began))


def state_of(status: Status) -> dict[str, Any]:
    """What the page shows of the state of a run."""
    items = {key: getattr(status.items, key) for key in ("done", "total", "failed", "left")}
    phases = [
        {key: asdict(phase)[key] for key in ("phase", "done", "total")}
        | {"others": phase.others[2:]}
        for phase in status.phases
    ]
    live = status.live
    now = f"{live.phase}: {now_of(live)}" if live is not None else ""
    return {"state": status.state, "items": items, "phases": phases, "now": now}


def _look(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
