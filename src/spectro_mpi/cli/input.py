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
        help="list what can be drawn from CDF files, with settings that draw it",
        description="List the variables of CDF files of any mission, with their axes, and print "
        "settings that draw what a scientist would draw first: `spectro-mpi inspect FILE > "
        "spectro-mpi.toml`. Everything that is not a setting is a comment. Of files whose names "
        "differ only in date, orbit or version, one is read. Exit codes: 0 something can be drawn; "
        "1 nothing can be drawn; 2 a file cannot be read, or none in a folder.",
    )
    inspect.add_argument("file", type=Path, metavar="FILE", help="CDF file, or a folder of them")
    inspect.add_argument(
        "more",
        nargs="*",
        default=[],
        metavar="FILE|VARIABLE",
        help="further files or folders, and names of variables to show no others (default: all "
        "data variables); what is not a path of something is the name of a variable",
    )
    inspect.add_argument(
        "--all", action="store_true", help="list all variables, also support data, and all reasons"
    )
    inspect.add_argument(
        "--master",
        type=Path,
        metavar="FILE",
        help="master CDF that supplies what the files lack (default: one beside a file that has no "
        "attributes)",
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
    from spectro_mpi.instruments.inspection import inspect_files
    from spectro_mpi.instruments.inspection_text import as_json, as_toml

    paths, names = [arguments.file], []
    for word in arguments.more:
        is_path = "/" in word or word.lower().endswith(".cdf") or Path(word).exists()
        paths.append(Path(word)) if is_path else names.append(word)
    found = inspect_files(paths, names, arguments.all, arguments.master)
    print(as_json(found, paths) if arguments.json else as_toml(found, paths, arguments.all), end="")
    if any(inspection.drawable for inspection in found):
        return 0
    print(f"spectro-mpi: {arguments.file}: nothing in it can be drawn", file=sys.stderr)
    return 1


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
