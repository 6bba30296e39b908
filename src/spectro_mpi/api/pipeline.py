"""Pipelines made in a script: phases of one's own among the built-in ones, run under mpirun."""

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

    Nothing is read or written before it is checked or started.

    Parameters
    ----------
    phases : sequence of Phase or str, optional
        Phases, or what the setting `phases` may hold ("reduce", "module:Class"). None: those of
        the settings.
    settings : path, mapping or Config, optional
        A settings file, settings as a mapping (relative paths are relative to the current
        directory), or settings. None: `spectro-mpi.toml` in the current directory.
    active : collection of str, optional
        Names of the phases that run. The artifacts of the others are expected to be in the run
        directory, and are found there. None: all run.
    overrides : sequence of str
        As `-s` on the command line: "plot.dpi=100".
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
        """The settings. Raises `SettingsError` for what is wrong with them."""
        if isinstance(self._settings, Config):
            return self._settings
        if isinstance(self._settings, Mapping):
            return config_from(dict(self._settings), Path.cwd())
        path = None if self._settings is None else Path(self._settings)
        return load_config(path, self._overrides)

    def check(self) -> PhaseOrder:
        """The phases, if what each needs is given by one before it.

        Raises
        ------
        SettingsError
            Naming all that does not fit, both sides of it.
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

    Without a launcher it runs in this process (and its compute process) alone. Phases are checked
    against each other before anything runs; run again, it goes on where it was.

    Parameters
    ----------
    pipeline : Pipeline
    fresh : bool
        Start over: remove earlier output.
    retry : bool
        Try failed items again.
    redo : str
        A phase all of whose items are done again, as after a change of its code.
    progress : bool
        Show progress.
    walltime : str
        Stop in time before this is over, as in "04:00:00"; not given: as Slurm says.

    Returns
    -------
    int
        The exit code of `spectro-mpi run`: 0 all items done, 3 some failed, 75 stopped early,
        2 wrong settings, told on standard error. As in ``sys.exit(start_pipeline(pipeline))``.
    """
    from spectro_mpi.mpi.request import Request

    return _start(
        pipeline,
        Request(fresh=fresh, retry=retry, redo=redo, progress=progress, walltime=walltime),
    )


def generate_assets(pipeline: Pipeline, *, progress: bool = True) -> int:
    """Do all that can be done ahead of a pipeline's figures, as `spectro-mpi assets` does.

    Every phase creates its assets anew; phases that can only prepare what their items share do
    that, the others run. Called as `start_pipeline` is, with its exit codes.
    """
    from spectro_mpi.mpi.request import Request

    return _start(pipeline, Request(assets_only=True, progress=progress))


def _start(pipeline: Pipeline, request: Request) -> int:
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # A compute process is importing the script it was started from.
        sys.exit(
            "a pipeline is started by the script itself: put the call under "
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
