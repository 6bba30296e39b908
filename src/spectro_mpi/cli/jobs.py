"""`submit`, `cancel`, `join`, `compact`: runs as jobs of a scheduler, and what comes of them."""

from __future__ import annotations

import argparse
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from spectro_mpi.cli.arguments import Commands, add_run_dir, add_settings, load, run_dir_of
from spectro_mpi.errors import UserError

if TYPE_CHECKING:
    from spectro_mpi.settings.schema import Config
    from spectro_mpi.system.scheduler import Scheduler


def add(commands: Commands) -> None:
    """Add the parsers of `submit`, `cancel`, `join` and `compact`."""
    submit = commands.add_parser(
        "submit",
        help="submit a run to a scheduler (Slurm, PBS), or start it detached on this machine",
        description="Write job scripts for the run into its directory and submit them: assets "
        "first, then the run, which goes back into the queue until all items are done. With more "
        "than 64 ranks, a third job of one task makes the report.",
    )
    add_settings(submit)
    submit.add_argument(
        "--ranks",
        default="auto",
        metavar="N",
        help="MPI ranks; auto (default): slurm.ntasks (PBS: pbs.ntasks), or the number that `plan` "
        "recommends",
    )
    submit.add_argument(
        "--scheduler", default="", metavar="NAME", help="scheduler (default: that of this machine)"
    )
    submit.add_argument(
        "--dry-run", action="store_true", help="print the scripts; do not submit them"
    )
    submit.add_argument(
        "--local", action="store_true", help="start mpirun on this machine instead, detached"
    )
    submit.set_defaults(call=_submit)

    cancel = commands.add_parser(
        "cancel",
        help="stop a run: after its current items, or at once",
        description="Ask a run, on any machine, to finish its current items and stop.",
    )
    add_run_dir(cancel)
    cancel.add_argument(
        "--now",
        action="store_true",
        help="kill its jobs and processes at once (each is printed first)",
    )
    cancel.set_defaults(call=_cancel)

    join = commands.add_parser(
        "join",
        help="join run directories with disjoint shares of the items into one",
        description="Join run directories made with select.share (jobs/array.sbatch) into the "
        "run directory of CONFIG; `run` then draws the figures, with axes common to all items. "
        "Can be repeated, also after it was killed: what was taken already is passed over.",
    )
    add_settings(join)
    join.add_argument(
        "parts",
        nargs="+",
        metavar="RUN_DIR",
        help="what to join: run directories, their settings files, or run ids",
    )
    join.set_defaults(call=_join)

    _add_compact(commands)


def _add_compact(commands: Commands) -> None:
    compact = commands.add_parser(
        "compact",
        help="copy the reduced data of a run into one HDF5 file",
        description="Copy the reduced data of a run, which has a file for each item, into one HDF5 "
        "file with groups /ITEM/INSTRUMENT. The run is not changed.",
    )
    add_run_dir(compact)
    compact.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FILE", help="the new file"
    )
    compact.set_defaults(call=_compact)


def _submit(arguments: argparse.Namespace) -> int:
    from spectro_mpi.operations import submit
    from spectro_mpi.rundir.claim import claim_directory, refuse_other_versions
    from spectro_mpi.rundir.layout import JOBS, LOCAL_LOG
    from spectro_mpi.system.untrusted import UntrustedCalls

    config = load(arguments)
    with UntrustedCalls() as untrusted:
        refuse_other_versions(config.run_dir, untrusted)
    scheduler = _scheduler(arguments)
    on_this_machine = arguments.local or not scheduler.name
    cores = os.cpu_count() if on_this_machine else None
    ranks = _ranks_to_start(arguments.ranks, config, scheduler, cores)
    if arguments.dry_run:
        for name, script in submit.scripts_of(config, ranks, scheduler).items():
            print(f"# {name}\n{script}")
        return 0
    if on_this_machine and not arguments.local:
        raise UserError(
            "no scheduler (Slurm: sbatch; PBS: qsub) was found on this machine; submit on a login "
            f"node of a cluster, run here (mpirun -n {ranks} spectro-mpi run {arguments.config}), "
            "or start that detached (submit --local)"
        )
    claim_directory(config)
    if arguments.local:
        started = submit.start_here(config, ranks)
        print(f"started mpirun with {ranks} ranks (process {started.local})")
        print(f"log:    {config.run_dir / LOCAL_LOG}")
    else:
        jobs = submit.submit(config, ranks, scheduler)
        print(
            f"submitted with {ranks} ranks: job {jobs.assets} (assets), then {jobs.run}"
            + (f", then {jobs.report} (report)" if jobs.report else "")
        )
        print(f"logs:   {config.run_dir / JOBS / '*.log'}")
    print(f"watch:  spectro-mpi status {config.run_dir} --watch")
    print(f"stop:   spectro-mpi cancel {config.run_dir}")
    return 0


def _scheduler(arguments: argparse.Namespace) -> Scheduler:
    """The scheduler to submit to; Slurm for `--dry-run` on a machine without a scheduler."""
    from spectro_mpi.system.scheduler import current, named

    if arguments.scheduler:
        return named(arguments.scheduler)
    return current() if current().name or not arguments.dry_run else named("slurm")


def _ranks_to_start(word: str, config: Config, scheduler: Scheduler, cores: int | None) -> int:
    """The number of ranks: from the argument, the settings, or as `plan` recommends.

    `cores`: the cores of this machine, if all ranks share them; None if each rank has its own core.
    Raises `UserError` if `word` is neither a number nor "auto".
    """
    if word.isdecimal() and int(word):
        return int(word)
    if word != "auto":
        raise UserError(f'--ranks {word}: expected a number of ranks, or "auto"')
    if ntasks := config.job_settings(scheduler.name).ntasks:
        return ntasks
    from spectro_mpi.planning.costs import load_constants
    from spectro_mpi.planning.inventory import take_inventory
    from spectro_mpi.planning.worth import Forecast
    from spectro_mpi.system.latency import fsync_seconds

    constants = load_constants()
    constants = replace(constants, fsync=fsync_seconds(config.run_dir) or constants.fsync)
    forecast = Forecast(take_inventory(config).items, config, constants, cores)
    best = forecast.best.ranks
    return min(best, cores + 2) if cores else best


def _cancel(arguments: argparse.Namespace) -> int:
    from spectro_mpi.operations.cancel import cancel

    for line in cancel(run_dir_of(arguments), arguments.now):
        print(line, flush=True)
    return 0


def _compact(arguments: argparse.Namespace) -> int:
    from spectro_mpi.operations.compact import compact
    from spectro_mpi.system.words import count

    items = compact(run_dir_of(arguments), arguments.output)
    print(f"{arguments.output}: {count(items, 'item')}")
    return 0


def _join(arguments: argparse.Namespace) -> int:
    from spectro_mpi.operations.join import join
    from spectro_mpi.operations.runs import run_directory
    from spectro_mpi.system.words import count

    config = load(arguments)
    items = join(config, [run_directory(part) for part in arguments.parts])
    print(
        f"{config.run_dir}: joined {count(items, 'item')} of "
        f"{count(len(arguments.parts), 'run')}; draw their figures with"
    )
    overrides = [word for override in arguments.set for word in ("-s", override)]
    print(f"  {shlex.join(['spectro-mpi', 'run', str(arguments.config), *overrides])}")
    return 0
