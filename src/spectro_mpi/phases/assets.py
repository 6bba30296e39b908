"""Phase assets: the frames a run's figures will need, drawn ahead of it and kept as files."""

from __future__ import annotations

from spectro_mpi.phases import Outcome, Report, Task, Workspace
from spectro_mpi.phases.plot import PlotPhase


class AssetsPhase(PlotPhase):
    """Composes an item's figures as the plot phase does, for the frames that come of it."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace, keep_frames=True)

    def run(self, task: Task, report: Report) -> Outcome:
        """Draw the item's figures with common limits; their frames stay, the figures do not."""
        outcome = Outcome()
        self.draw_all(task, ("given_extrema",), report, outcome.failures, lambda *_: None)
        return outcome
