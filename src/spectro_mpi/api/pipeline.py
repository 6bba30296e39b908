"""Pipelines defined in a script: user-defined and built-in phases, run under mpirun."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectro_mpi.phases.interface import Phase
from spectro_mpi.phases.order import PhaseOrder, order_phases
from spectro_mpi.settings.loading import config_from, load_config
from spectro_mpi.settings.schema import Config

if TYPE_CHECKING:
    from spectro_mpi.mpi.request import Request


class Pipeline:
    """Phases in their order, and the settings they run with.

    Nothing is read or written until the pipeline is checked or started.

    Parameters
    ----------
    phases : sequence of Phase or str, optional
        Phases, or entries as in the setting `phases` ("reduce", "module:Class"). None: the phases
        of the settings.
    settings : path, mapping or Config, optional
        A settings file, a mapping (in which paths are relative to the current directory), or a
        `Config`. None: `spectro-mpi.toml` in the current directory.
    active : collection of str, optional
        Names of the phases to run. Artifacts of the others must already be in the run directory.
        None: all phases run.
    overrides : sequence of str
        Overrides of a settings file, as `-s` on the command line: "plot.dpi=100".
    """

    def __init__(
        self,
        phases: Sequence[Phase | str] | None = None,
        settings: Path | str | Mapping[str, Any] | Config | None = None,
        *,
        active: Collection[str] | None = None,
        overrides: Sequence[str] = (),
    ) -> None:
        self.phases = None if phases is None else tuple(phases)
        self.active = None if active is None else frozenset(active)
        self._settings = settings
        self._overrides = tuple(overrides)

    @property
    def config(self) -> Config:
        """The settings. Raises `SettingsError` if there are mistakes in them."""
        if isinstance(self._settings, Config):
            return self._settings
        if isinstance(self._settings, Mapping):
            return config_from(dict(self._settings), Path.cwd())
        path = None if self._settings is None else Path(self._settings)
        return load_config(path, self._overrides)

    def _repr_html_(self) -> str:
        from spectro_mpi.model import html

        order = self.check()
        rows = [
            (
                phase.name,
                "yes" if order.is_active(phase) else "no",
                ", ".join(needed.name for needed in phase.needs),
                ", ".join(kind.name for kind in phase.gives),
            )
            for phase in order.phases
        ]
        head = ("phase", "active", "needs", "gives")
        return html.heading(f"Pipeline {order.config.run_id}") + html.table(head, rows)

    def check(self) -> PhaseOrder:
        """Check that each phase gets all it needs from earlier ones, and return their order.

        Raises
        ------
        SettingsError
            If the settings have mistakes or phases do not fit; it names all that do not.
        """
        return order_phases(self.config, self.phases, self.active)


def start_pipeline(
    pipeline: Pipeline,
    *,
    fresh: bool = False,
    retry: bool = False,
    redo: str = "",
    progress: bool = True,
    walltime: str = "",
) -> int:
    """Run a pipeline on all ranks that `mpirun` or `srun` started; every rank calls this.

    Without a launcher it runs in this process (and its compute process) only. The phases are
    checked against each other before anything runs. A pipeline that was stopped continues where it
    was when it is started again.

    Parameters
    ----------
    pipeline : Pipeline
        The pipeline to run.
    fresh : bool
        Start over: remove earlier output.
    retry : bool
        Try failed items again.
    redo : str
        Name of a phase to do again for all items, for instance after its code has changed.
    progress : bool
        Show progress.
    walltime : str
        Stop before this time, as in "04:00:00", has passed. Empty: the time limit of the Slurm job.

    Returns
    -------
    int
        The exit code of `spectro-mpi run`: 0 all items done, 3 some failed, 75 stopped early, 2
        mistakes in the settings (printed to standard error), 1 any other error. Use it as in
        ``sys.exit(start_pipeline(pipeline))``.
    """
    from spectro_mpi.mpi.request import Request

    return _start(
        pipeline,
        Request(fresh=fresh, retry=retry, redo=redo, progress=progress, walltime=walltime),
    )


def generate_assets(pipeline: Pipeline, *, progress: bool = True) -> int:
    """Do all that can be done before a pipeline draws figures, as `spectro-mpi assets` does.

    Every phase recreates its assets. Then phases that can prepare what their items share do so,
    and all others run. Call it like `start_pipeline`; it returns the same exit codes.
    """
    from spectro_mpi.mpi.request import Request

    return _start(pipeline, Request(assets_only=True, progress=progress))


def _start(pipeline: Pipeline, request: Request) -> int:
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # A compute process is importing the script it was started from.
        sys.exit(
            "a pipeline must be started only by the script itself: put the call under "
            'if __name__ == "__main__":'
        )
    from spectro_mpi.mpi.session import run

    return run(
        replace(
            request,
            config=lambda: pipeline.config,
            active=pipeline.active,
            phases=pipeline.phases,
        )
    )
