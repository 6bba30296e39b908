"""`demo` and `inspect`: create input files, and list what is in one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from spectro_mpi.cli.arguments import Commands, count
from spectro_mpi.errors import UserError


def add_inspect(commands: Commands) -> None:
    """Add the arguments of `inspect`."""
    inspect = commands.add_parser(
        "inspect",
        help="list what can be drawn from a CDF file, with settings that draw it",
        description="List the variables of a CDF file of any mission, with their axes, and print "
        "settings that draw it: `spectro-mpi inspect FILE > spectro-mpi.toml`. Everything that is "
        "not a setting is a comment. Exit codes: 0 something can be drawn; 1 nothing can be drawn; "
        "2 the file cannot be read.",
    )
    inspect.add_argument("file", type=Path, metavar="FILE", help="CDF file")
    inspect.add_argument(
        "variables",
        nargs="*",
        metavar="VARIABLE",
        help="only these variables (default: all data variables)",
    )
    inspect.add_argument("--json", action="store_true", help="print JSON")
    inspect.set_defaults(call=_inspect)


def add_demo(commands: Commands) -> None:
    """Add the arguments of `demo`."""
    demo = commands.add_parser(
        "demo",
        help="write sample data and settings, to try the program",
        description="Write FAST ESA level-2 CDF files of simulated orbits, spectro-mpi.toml and "
        "events.csv. The same seed gives the same bytes.",
    )
    demo.add_argument("directory", type=Path, metavar="DIR", help="directory to write to")
    demo.add_argument(
        "--orbits", type=count, default=12, metavar="K", help="number of orbits (default 12)"
    )
    demo.add_argument(
        "--seed", type=count, default=0, metavar="S", help="seed of the simulation (default 0)"
    )
    demo.add_argument(
        "--burst-records",
        type=count,
        default=0,
        metavar="R",
        help="add a burst file with R records",
    )
    demo.add_argument(
        "--damaged", action="store_true", help="add orbits whose files are damaged in various ways"
    )
    demo.set_defaults(call=_demo)


def _inspect(arguments: argparse.Namespace) -> int:
    from spectro_mpi.instruments.inspection import as_json, as_toml, inspect_file

    inspection = inspect_file(arguments.file, arguments.variables)
    print(as_json(inspection) if arguments.json else as_toml(inspection), end="")
    if not inspection.drawable:
        print(f"spectro-mpi: {arguments.file}: nothing in it can be drawn", file=sys.stderr)
    return 0 if inspection.drawable else 1


def _demo(arguments: argparse.Namespace) -> int:
    from spectro_mpi.demo import write_demo
    from spectro_mpi.settings.loading import DEFAULT_FILE

    try:
        summary = write_demo(
            arguments.directory,
            orbits=arguments.orbits,
            seed=arguments.seed,
            burst_records=arguments.burst_records,
            damaged=arguments.damaged,
        )
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from None
    print(
        f"{summary.directory}: {summary.orbits} orbits in {summary.files} CDF files, "
        f"{summary.bytes / 1e6:.0f} MB, {summary.events} marked events"
    )
    for file in summary.damaged:
        print(f"  orbit {file.orbit} is damaged: {file.path.name}: {file.description}")
    print(f"try: mpirun -n 4 spectro-mpi {summary.directory / DEFAULT_FILE}")
    return 0
