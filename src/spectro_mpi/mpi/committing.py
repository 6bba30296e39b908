"""What the coordinator knows of the results of a phase: computed, and of these on disk."""

from __future__ import annotations

import logging

from spectro_mpi.mpi.messages import Committed
from spectro_mpi.planning.todo import RunPlan
from spectro_mpi.terminal.display import Display

log = logging.getLogger(__name__)


class Committing:
    """Counts results of the current phase. Only what is on disk is done, and shown as done."""

    def __init__(self, plan: RunPlan, display: Display) -> None:
        self.results = 0
        """Results of the phase that were computed."""
        self.without_data: set[str] = set()
        """Items done in the phase that have no data in the store."""
        self.is_fruitful = False
        """Whether this execution has put any item on disk."""
        self._committed = 0
        self._writer_waits = 0.0
        """How long the writer has been waiting for the file system, s."""
        self._plan = plan
        self._display = display
        self._phase = ""

    def begin(self, phase: str) -> None:
        """Begin a phase."""
        self._phase = phase
        self.results = self._committed = 0
        self.without_data = set()

    def handle(self, message: Committed) -> None:
        """Note what is on disk: only now are its items done."""
        progress, phase, files = self._plan.progress, self._phase, message.data_files
        self._committed += len(message.items)
        self.is_fruitful = True
        for item, failures in message.items.items():
            progress.settled[phase].add(item)
            progress.replace_failures(item, phase, failures)
            self._display.advance(len(failures))
        if files:
            progress.stores[phase] |= files
        self.without_data |= message.items.keys() - files.keys()
        known = self._plan.known.data
        known |= {item: (files[item], each) for item, each in message.digests.items()}
        self._show_uncommitted()  # the line that ends the phase is printed without `show`

    def wait(self, seconds: float) -> None:
        """Note that the writer has been waiting for the file system; 0: not any more."""
        self._writer_waits = seconds
        if seconds:
            log.warning("the writer has been waiting for the file system for %.0f s", seconds)

    def show(self) -> None:
        """Show what is computed and not on disk."""
        self._show_uncommitted()
        self._display.refresh()

    def _show_uncommitted(self) -> None:
        self._display.uncommitted(max(0, self.results - self._committed), self._writer_waits)
