"""`run` and `assets`: the subcommands that start ranks.

Only these may import MPI, because `MPI_Init` aborts the process on many login nodes.
"""

from __future__ import annotations

import argparse
import os
from contextlib import nullcontext

from spectro_mpi.cli.arguments import (
    Commands,
    add_log_level,
    add_no_progress,
    add_settings,
    add_walltime,
    positive,
)
from spectro_mpi.errors import UserError
from spectro_mpi.system.launchers import launched
from spectro_mpi.system.siblings import together


def add(commands: Commands) -> None:
    """Add the parsers of `run` and `assets`."""
    run = commands.add_parser(
        "run",
        help="reduce and draw all items, on the ranks that mpirun or srun starts",
        description="Reduce and draw all items, on the ranks that mpirun or srun starts, or with "
        "-n on processes of this machine. If run again, it continues where it stopped, and "
        "draws those figures again that changed settings of plot, axes, extrema or events change.",
    )
    add_settings(run, optional=True)
    _add_ranks(run)
    run.add_argument("--fresh", action="store_true", help="start over: remove earlier output")
    run.add_argument("--retry", action="store_true", help="try failed items again")
    run.add_argument(
        "--only", metavar="PHASE", help="run only this phase: reduce, plot or one of yours"
    )
    run.add_argument(
        "--redo",
        default="",
        metavar="PHASE",
        help="repeat this phase for all items, and the phases that depend on it",
    )
    run.add_argument(
        "--prune",
        action="store_true",
        help="remove figures of kinds, scale pairs and limits that the settings no longer list",
    )
    add_walltime(run)
    add_no_progress(run)
    add_log_level(run)
    run.set_defaults(call=_run, assets_only=False)

    assets = commands.add_parser(
        "assets",
        help="prepare a run: inventory, reduced data, extrema and frames of figures",
        description="Prepare everything except the figures, ahead of a job with a short wall "
        "time: the inventory of the input, reduced data, extrema, and the parts of figures that "
        "items share. Works with or without mpirun; `run` uses what exists.",
    )
    add_settings(assets)
    _add_ranks(assets)
    add_walltime(assets)
    add_no_progress(assets)
    add_log_level(assets)
    assets.set_defaults(
        call=_run, only=None, redo="", fresh=False, retry=False, prune=False, assets_only=True
    )


def _add_ranks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n",
        "--ranks",
        type=positive,
        default=0,
        metavar="N",
        help="run as N ranks on processes of this machine, without mpirun and without MPI; N - 2 "
        "of them compute",
    )


def _run(arguments: argparse.Namespace) -> int:
    start = launched()
    if arguments.ranks and start is not None:
        raise UserError(
            f"-n {arguments.ranks}: is for runs without a launcher, and mpirun or srun has started "
            f"{start.ranks} ranks; leave out one of the two"
        )
    if arguments.log_level:
        from spectro_mpi.system.logs import set_log_level

        set_log_level(arguments.log_level)
    from spectro_mpi.system.imports import name_processor
    from spectro_mpi.system.signals import StopSignals
    from spectro_mpi.system.threads import limit_threads

    limit_threads(os.environ)  # before numpy is imported
    name_processor()  # before h5py is
    # Before the slow imports: a signal must be noticed from the first moment.
    with StopSignals() as signals:
        from spectro_mpi.mpi.request import Request

        request = Request(
            config=arguments.config,
            overrides=tuple(arguments.set),
            fresh=arguments.fresh,
            retry=arguments.retry,
            redo=arguments.redo,
            prune=arguments.prune,
            active=frozenset([arguments.only]) if arguments.only else None,
            assets_only=arguments.assets_only,
            progress=arguments.progress,
            walltime=arguments.walltime,
        )
        if arguments.ranks:
            from spectro_mpi.mpi.processes import run_on_processes

            return run_on_processes(arguments.ranks, request, signals)
        with nullcontext() if start is None else together():
            from spectro_mpi.mpi.session import get_ready, run
            from spectro_mpi.mpi.world import leave

            early = get_ready()
        code = run(request, signals, early=early)
        leave(code)  # inside the context, so that a stop request during it does no harm either
        return code


CALLS = (_run,)
"""What runs items, and goes on if nobody reads its output."""
