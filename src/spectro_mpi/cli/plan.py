"""`plan` and `inventory`: show what a run would do, and which files it would read."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from spectro_mpi.cli.arguments import Commands, add_settings, load, positive, ranks
from spectro_mpi.errors import SOME_FAILED

if TYPE_CHECKING:
    from spectro_mpi.phases.order import PhaseOrder
    from spectro_mpi.planning.inventory import Inventory


def add(commands: Commands) -> None:
    """Add the parser of `plan`."""
    plan = commands.add_parser(
        "plan",
        help="show what a run would do, how long it would take, and how many ranks are worth it",
        description="Print items, bytes, the loads of the workers' stacks, and a simulation of the "
        "run with measured costs. Needs no MPI.",
    )
    add_settings(plan)
    plan.add_argument(
        "--ranks",
        type=ranks,
        default=[4, 16, 64],
        metavar="N,N,…",
        help="numbers of MPI ranks to plan for (default 4,16,64)",
    )
    plan.add_argument(
        "--cores",
        type=positive,
        metavar="C",
        help="cores that all ranks share (default: one per rank)",
    )
    plan.add_argument(
        "--constants",
        type=Path,
        metavar="FILE",
        help="costs measured on your machine by benchmarks/constants.py",
    )
    plan.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="name all files that are left out, and what is used instead",
    )
    plan.set_defaults(call=_plan)
    _add_inventory(commands)


def _add_inventory(commands: Commands) -> None:
    inventory = commands.add_parser(
        "inventory",
        help="list the input files, or those that are damaged",
        description="Print the path of each file that a run would read, one per line. With "
        "--damaged, read all of them, and print only those to download again: empty, cut off, "
        "unreadable, without the variable or without valid records. Exit codes: 0 no file is "
        "damaged; 3 some are; 2 wrong settings or no input.",
    )
    add_settings(inventory, optional=True)
    inventory.add_argument(
        "--damaged", action="store_true", help="read all files, and print those that are damaged"
    )
    inventory.add_argument(
        "-v", "--verbose", action="store_true", help="also say why, on standard error"
    )
    inventory.set_defaults(call=_inventory)


def _inventory(arguments: argparse.Namespace) -> int:
    from spectro_mpi.operations.damaged import damaged_files, input_files
    from spectro_mpi.planning.inventory import take_inventory
    from spectro_mpi.system.words import count

    config = load(arguments)
    inventory = take_inventory(config)
    paths = input_files(inventory)
    if not arguments.damaged:
        for path in paths:
            print(path)
        if arguments.verbose:
            for path, why in inventory.left_out:
                print(f"not read: {path}: {why}", file=sys.stderr)
        return 0
    damaged = 0
    for file in damaged_files(inventory, config):
        damaged += 1
        print(file.path, flush=True)
        if arguments.verbose:
            print(f"{file.path}: {file.why}", file=sys.stderr, flush=True)
    hint = "; if they are whole, correct the settings" if damaged == len(paths) else ""
    print(f"{damaged} of {count(len(paths), 'file')} damaged{hint}", file=sys.stderr)
    return SOME_FAILED if damaged else 0


def _plan(arguments: argparse.Namespace) -> int:
    from spectro_mpi.draw import check_colormap
    from spectro_mpi.phases.order import order_phases
    from spectro_mpi.planning.costs import load_constants
    from spectro_mpi.planning.events import marks_of
    from spectro_mpi.planning.inventory import Inventory, NoInputError, take_inventory
    from spectro_mpi.planning.stored import stored_items
    from spectro_mpi.planning.worth import Forecast
    from spectro_mpi.rundir.journal import load_progress
    from spectro_mpi.system.latency import fsync_seconds
    from spectro_mpi.terminal import summary

    config = load(arguments)
    check_colormap(config.plot.colormap)
    marks = sum(map(len, marks_of(config).values()))
    order = order_phases(config)
    constants = load_constants(arguments.constants)
    began = time.perf_counter()
    try:
        inventory = take_inventory(config)
    except NoInputError:
        stored = stored_items(config, load_progress(config.run_dir, config.run_id), ())
        if not stored:
            raise
        print(f"input {', '.join(config.inputs)} is not there; `run --only plot` draws")
        summary.print_what_is_gone(config, len(stored))
        _print_notices(order, Inventory((), ()))
        return 0
    searched = time.perf_counter() - began
    summary.print_inventory(config, inventory, arguments.verbose)
    summary.print_phases(order)
    _print_notices(order, inventory)
    constants = replace(
        constants,
        inventory_item=searched / len(inventory.items),
        fsync=fsync_seconds(config.run_dir) or constants.fsync,
    )
    forecast = Forecast(inventory.items, config, constants, arguments.cores, marks)
    for number in arguments.ranks:
        run = forecast.of(number)
        summary.print_stacks(inventory, number)
        summary.print_simulated(run, forecast.alone)
        better = forecast.with_busy_workers(run) if summary.waits_for_commits(run) else None
        summary.print_batch(run, better)
    summary.print_knee(forecast.best, constants)
    return 0


def _print_notices(order: PhaseOrder, inventory: Inventory) -> None:
    """Print what a run would do again in a run directory that exists, or why it is refused."""
    from spectro_mpi.errors import UserError
    from spectro_mpi.planning.todo import plan_run
    from spectro_mpi.rundir.claim import refuse_changes, refuse_other_versions
    from spectro_mpi.rundir.layout import CONFIG
    from spectro_mpi.rundir.tallies import read_tallies
    from spectro_mpi.settings.loading import load_frozen
    from spectro_mpi.system.untrusted import UntrustedCalls

    frozen = order.config.run_dir / CONFIG
    if not frozen.exists():
        return
    try:
        with UntrustedCalls() as untrusted:
            refuse_other_versions(order.config.run_dir, untrusted)
            refuse_changes(order.config, load_frozen(frozen))
            tallies = {}
            with contextlib.suppress(OSError):  # damaged: the run restores it from the store
                tallies = untrusted(read_tallies, order.config.run_dir)
        for sentence in plan_run(order, inventory, tallies=tallies).notices:
            print(f"  {sentence}")
    except UserError as error:
        print(f"  run will be refused: {error}")
