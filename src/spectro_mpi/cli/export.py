"""`export`: items of a run as CDF or netCDF files."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from spectro_mpi.cli.arguments import (
    Commands,
    add_no_progress,
    add_run_dir,
    positive,
    run_dir_of,
)
from spectro_mpi.errors import SOME_FAILED, STOPPED, UserError

if TYPE_CHECKING:
    from spectro_mpi.export.exporting import Exported, ExportRequest
    from spectro_mpi.rundir.reader import Run

_MOST_LISTED = 20


def add(commands: Commands) -> None:
    """Add the parser of `export`."""
    export = commands.add_parser(
        "export",
        help="write items of a run as CDF (ISTP) or netCDF (CF) files for archives and other tools",
        description="Write the reduced data of items as files for archives and other tools: CDF by "
        "the ISTP guidelines, netCDF by the CF conventions; one file for each item and instrument. "
        "Files that are there already and were made from the same data are kept. Works during a "
        "run, with the items that are on disk, and needs no MPI. Exit codes: 0 all exported; 3 "
        "some could not be (listed); 75 stopped on request, run again to continue; 2 wrong usage; "
        "1 anything else.",
    )
    add_run_dir(export)
    export.add_argument(
        "--format", choices=("cdf", "netcdf"), required=True, help="format of the files"
    )
    export.add_argument(
        "--items",
        default="",
        metavar="ITEMS",
        help="items, as in select.orbits: 13312-13400,13500, or names (default: all)",
    )
    export.add_argument(
        "--instruments",
        default="",
        metavar="NAME,NAME",
        help="instruments, such as ees,ies (default: all)",
    )
    export.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the files (default: RUN_DIR/export)",
    )
    export.add_argument(
        "--force",
        action="store_true",
        help="write files again that are there, also those of other runs",
    )
    export.add_argument(
        "-a",
        "--attribute",
        action="append",
        default=[],
        metavar="NAME=TEXT",
        help="a global attribute of the files, such as -a PI_name='J. Doe' (may be repeated)",
    )
    export.add_argument(
        "--parallel",
        type=positive,
        default=0,
        metavar="N",
        help="items at a time (default: the cores of this process)",
    )
    add_no_progress(export)
    export.set_defaults(call=_export)


def _export(arguments: argparse.Namespace) -> int:
    from spectro_mpi.export.exporting import check_request, chosen_items
    from spectro_mpi.rundir.reader import open_run

    run_dir = run_dir_of(arguments)
    run = open_run(run_dir)
    request = _request(arguments, run_dir)
    check_request(run, request)
    items, missing = chosen_items(run, request.items)
    _make_folder(request.folder, run_dir)
    return _run(run, items, missing, request, arguments)


def _run(
    run: Run,
    items: list[str],
    missing: tuple[str, ...],
    request: ExportRequest,
    arguments: argparse.Namespace,
) -> int:
    from spectro_mpi.export.exporting import Exported, export_items
    from spectro_mpi.system.signals import StopSignals
    from spectro_mpi.terminal.transfers import TransferDisplay

    display, began, done = TransferDisplay(arguments.progress, "export", "item"), 0.0, Exported()
    with StopSignals() as signals:
        began = time.monotonic()
        display.begin(len(items), 0)
        try:
            with closing(export_items(run, items, request, arguments.parallel)) as exports:
                for done in exports:
                    display.show(done.items, len(done.problems), done.bytes)
                    if signals.received:
                        break
        finally:
            display.end()
    done.problems += [f"{names}: the run has no data of it" for names in missing]
    _print_outcome(done, request, time.monotonic() - began)
    if done.items < len(items):
        print("stopped; run again to continue")
        return STOPPED
    return SOME_FAILED if done.problems else 0


def _request(arguments: argparse.Namespace, run_dir: Path) -> ExportRequest:
    from spectro_mpi.export.exporting import ExportRequest
    from spectro_mpi.rundir.layout import EXPORT

    attributes = {}
    for word in arguments.attribute:
        name, is_given, text = word.partition("=")
        if not is_given or not name.isidentifier() or not name.isascii():
            raise UserError(f"-a {word}: expected NAME=TEXT, as in -a PI_name='J. Doe'")
        attributes[name] = text
    names = tuple(name.strip() for name in arguments.instruments.split(",") if name.strip())
    return ExportRequest(
        format=arguments.format,
        folder=arguments.output or run_dir / EXPORT,
        items=arguments.items,
        instruments=names,
        replaces=arguments.force,
        attributes=attributes,
    )


def _make_folder(folder: Path, run_dir: Path) -> None:
    from spectro_mpi.system.atomic import make_below

    try:
        if folder.parent == run_dir:  # a link there may lead out of a run of somebody else
            make_below(run_dir, folder)
        else:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror or error}") from None


def _print_outcome(done: Exported, request: ExportRequest, seconds: float) -> None:
    from spectro_mpi.system.words import count, duration, shortened

    kept = f", {count(done.kept, 'file')} of the same data kept (--force writes them again)"
    per_item = f", {seconds / done.items:.2f} s per item" if done.items else ""
    print(
        f"{request.folder}: {count(done.written, 'file')} written{kept if done.kept else ''}; "
        f"{done.bytes / 1e6:.1f} MB in {duration(seconds)}{per_item}"
    )
    if done.problems:
        print(f"could not be exported ({len(done.problems)}):", file=sys.stderr)
        for problem in shortened(done.problems, _MOST_LISTED):
            print(f"  {problem}", file=sys.stderr)
