"""The superpose phase: all items' records around events, laid over each other.

Each item contributes the records that it has in the window of an event, whichever item the event
is listed for. Contributions are whole numbers, so that they merge in any order to the same result.
"""

from __future__ import annotations

import hashlib
from typing import Any

from spectro_mpi.errors import UserError
from spectro_mpi.model.artifacts import Artifact
from spectro_mpi.model.epochs import Epochs, epochs_by_index, epochs_in_time, is_timed, time_bins
from spectro_mpi.model.items import Item
from spectro_mpi.model.marks import Mark, Marks
from spectro_mpi.model.superposed import superposed
from spectro_mpi.model.superposition import Superposition, superpose
from spectro_mpi.phases.context import Context, Inputs
from spectro_mpi.phases.interface import MergingPhase, Outputs
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.rundir.layout import SUPERPOSED_FILE, result_path
from spectro_mpi.system.activity import doing

Superpositions = dict[str, Superposition]
"""Instrument → what items contribute."""


class SuperposePhase(MergingPhase[Superpositions]):
    """Superposed epoch analysis of all items around the marked events."""

    name = "superpose"
    needs = (Artifact("spectrograms", dims=("category", "record", "channel")),)
    gives = (
        Artifact("superposed", extension=".json", of="run", long_name="Superposed epoch analysis"),
    )
    result_files = (SUPERPOSED_FILE,)
    _fingerprinted: tuple[Marks, str] | None = None
    """Events, and the digest of those that are given by time."""

    def begin(self, workspace: Workspace) -> None:
        """Keep the events of all items: a window may reach into a neighbour of its item."""
        self._marks = workspace.marks
        self._in_time: dict[str, Epochs] = {}

    def run(self, item: Item, inputs: Inputs, context: Context) -> Outputs:
        """Relate the records of the item to all events whose windows they are in."""
        partial: Superpositions = {}
        if not self._marks:
            return Outputs(partial=partial)
        context.status("store")
        spectrograms = inputs["spectrograms"]
        bins, settings = time_bins(self.config.superpose), self.config.superpose
        for instrument, spectrogram in spectrograms.items():
            context.status(instrument)
            with context.boundary(instrument), doing("reduce"):
                epochs = self._epochs_of(instrument)
                epochs = epochs.joined(
                    epochs_by_index(context.marks, spectrograms, instrument, item.id, settings)
                )
                found = superpose(spectrogram, epochs, bins, settings.memory_mb)
                if found is not None:
                    partial[instrument] = found
        return Outputs(partial=partial)

    def restore(self, item: Item, inputs: Inputs, context: Context) -> Superpositions:
        """The same as `run`, from the item's spectrograms in the store."""
        partial: Superpositions = self.run(item, inputs, context).partial
        return partial

    def fingerprint(self, item: Item, marks: Marks) -> str:
        """Digests of the events that are given by time, of all items, and of the item's own."""
        if self._fingerprinted is None or self._fingerprinted[0] is not marks:
            timed = ((name, tuple(m for m in of if is_timed(m))) for name, of in marks.items())
            text = " ".join(f"{name}:{_digest(of)}" for name, of in sorted(timed) if of)
            self._fingerprinted = marks, hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{self._fingerprinted[1]}-{_digest(marks.get(item.id, ()))}"

    def empty(self) -> Superpositions:
        """No contributions."""
        return {}

    def merge(self, into: Superpositions, other: Superpositions) -> Superpositions:
        """Add what other items contribute, instrument by instrument."""
        for instrument, whole in other.items():
            if instrument in into:
                into[instrument].merge(whole)
            else:
                into[instrument] = whole
        return into

    def conclude(self, whole: Superpositions) -> dict[str, Any]:
        """The content of superposed.json: of each instrument how much was laid over each other."""
        for found in whole.values():
            found.settle()
        return {
            "instruments": {
                instrument: {
                    "events": len(found.identity),
                    "records": found.records,
                    "percentile_error": found.histograms.width,
                    "histogram_bins": len(found.histograms.keys),
                }
                for instrument, found in sorted(whole.items())
            }
        }

    def files(self, whole: Superpositions) -> dict[str, bytes]:
        """The content of superpose.h5."""
        from spectro_mpi.rundir.superposed_file import superposed_bytes

        results = [superposed(instrument, found) for instrument, found in sorted(whole.items())]
        settings = self.config.superpose
        about = {"zero": f"{settings.zero} of the event", "labels": ", ".join(settings.labels)}
        return {SUPERPOSED_FILE: superposed_bytes(results, about)}

    def draw(self, workspace: Workspace) -> None:
        """Draw mean and median of each instrument.

        Raises `UserError` if no event has records in its window.
        """
        from spectro_mpi.phases.superpose_figures import draw_superposed
        from spectro_mpi.rundir.superposed_file import superposed_instruments

        if not superposed_instruments(result_path(workspace.run_dir, SUPERPOSED_FILE)):
            raise UserError(
                f"no event in {self.config.plot.events} has records in its window; check its "
                "times and superpose.labels"
            )
        draw_superposed(self.config, workspace.run_dir)

    def basis(self) -> Any:
        """The settings that the result depends on."""
        settings = self.config.superpose
        return [
            settings.before_seconds,
            settings.after_seconds,
            settings.bin_seconds,
            settings.zero,
            sorted(settings.labels),
            settings.memory_mb,
        ]

    def _epochs_of(self, instrument: str) -> Epochs:
        """The events of all items that are given by time, for an instrument."""
        if instrument not in self._in_time:
            self._in_time[instrument] = epochs_in_time(
                self._marks, instrument, self.config.superpose
            )
        return self._in_time[instrument]


def _digest(marks: tuple[Mark, ...]) -> str:
    """Digest of marks, without what only their colours depend on."""
    text = repr([(mark.instrument, mark.start, mark.end, mark.label) for mark in marks])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
