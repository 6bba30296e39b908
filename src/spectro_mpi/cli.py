"""The command line: arguments, and one short function per subcommand.

Only `run` may import MPI: on many login nodes `MPI_Init` aborts the process.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from spectro_mpi.errors import UserError

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser, commands = _parser()
    if not argv or (argv[0] not in commands and argv[0] not in ("-h", "--help", "--version")):
        argv.insert(0, "run")
    arguments = parser.parse_args(argv)
    try:
        code: int = arguments.call(arguments)
    except UserError as error:
        print(f"spectro-mpi: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _run(arguments: argparse.Namespace) -> int:
    # One thread a rank, before numpy is imported: ranks are the parallelism.
    for name in _THREADS:
        os.environ.setdefault(name, "1")
    from spectro_mpi.mpi.session import Request, run

    return run(
        Request(
            config=arguments.config,
            overrides=tuple(arguments.set),
            fresh=arguments.fresh,
            retry=arguments.retry,
            only=arguments.only or "",
            progress=arguments.progress,
        )
    )


def _assets(arguments: argparse.Namespace) -> int:
    arguments.only, arguments.fresh, arguments.retry = "assets", False, False
    return _run(arguments)


def _plan(arguments: argparse.Namespace) -> int:
    from spectro_mpi.config import load_config
    from spectro_mpi.inventory import take_inventory
    from spectro_mpi.summary import print_inventory, print_stacks

    config = load_config(arguments.config, tuple(arguments.set))
    inventory = take_inventory(config)
    print_inventory(config, inventory)
    for ranks in arguments.ranks:
        print_stacks(inventory, ranks)
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from spectro_mpi.status import print_status, read_status

    print_status(read_status(arguments.run_dir), as_json=arguments.json)
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from spectro_mpi.config import DEFAULT_FILE
    from spectro_mpi.demo import write_demo

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
        f"{summary.bytes / 1e6:.0f} MB, {summary.events} cusp events"
    )
    for file in summary.damaged:
        print(f"  orbit {file.orbit} is damaged: {file.path.name}: {file.description}")
    print(f"try: mpirun -n 4 spectro-mpi {summary.directory / DEFAULT_FILE}")
    return 0


def _ranks(word: str) -> list[int]:
    ranks = [int(part) for part in word.split(",")]
    if min(ranks) < 1:
        raise argparse.ArgumentTypeError("numbers of ranks start at 1")
    return ranks


def _count(word: str) -> int:
    number = int(word)
    if number < 0:
        raise argparse.ArgumentTypeError("a number of at least 0 is wanted")
    return number


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import spectro_mpi

        print(f"spectro-mpi {spectro_mpi.__version__}")
        parser.exit()


def _parser() -> tuple[argparse.ArgumentParser, set[str]]:
    parser = argparse.ArgumentParser(
        prog="spectro-mpi",
        description="Spectrograms of space-physics particle CDF files, by the thousand, under MPI.",
        epilog="With no subcommand it is run: `mpirun -n 8 spectro-mpi settings.toml`. "
        "Exit codes: 0 all items done; 3 finished, some items failed; 75 stopped early on "
        "request, run again to go on; 2 wrong usage or settings; 1 anything else.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="reduce and draw all items, on the ranks mpirun or srun starts",
        description="Reduce and draw all items. Run again, it continues where it stopped.",
    )
    _settings(run, optional=True)
    run.add_argument("--fresh", action="store_true", help="start over: removes earlier output")
    run.add_argument("--retry", action="store_true", help="try failed items again")
    run.add_argument("--only", choices=("reduce", "plot"), help="just this phase")
    run.add_argument(
        "--no-progress", dest="progress", action="store_false", help="no progress display"
    )
    run.set_defaults(call=_run)

    assets = commands.add_parser(
        "assets",
        help="prepare a run: inventory, reduced data, extrema and frames of figures",
        description="Do ahead of a job with a short wall time all but the figures: the inventory "
        "of the input, reduced data, extrema, and the parts of figures that items share. Works "
        "with or without mpirun; `run` uses what is there.",
    )
    _settings(assets, optional=False)
    assets.add_argument(
        "--no-progress", dest="progress", action="store_false", help="no progress display"
    )
    assets.set_defaults(call=_assets)

    plan = commands.add_parser(
        "plan",
        help="what a run would do, and how evenly so many ranks would share it",
        description="Items, bytes, and the loads of the workers' stacks. Needs no MPI.",
    )
    _settings(plan, optional=False)
    plan.add_argument(
        "--ranks",
        type=_ranks,
        default=[4, 16, 64],
        metavar="N,N,…",
        help="numbers of MPI ranks to plan for (default 4,16,64)",
    )
    plan.set_defaults(call=_plan)

    status = commands.add_parser(
        "status",
        help="how far a run is",
        description="State, phases, failures of a run, from its directory alone.",
    )
    status.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    status.add_argument("--json", action="store_true", help="as JSON")
    status.set_defaults(call=_status)

    demo = commands.add_parser(
        "demo",
        help="write sample data and settings to try things with",
        description="Write FAST ESA level-2 CDF files of simulated orbits, spectro-mpi.toml and "
        "events.csv. The same seed gives the same bytes.",
    )
    demo.add_argument("directory", type=Path, metavar="DIR")
    demo.add_argument("--orbits", type=_count, default=12, metavar="K", help="default 12")
    demo.add_argument("--seed", type=_count, default=0, metavar="S", help="default 0")
    demo.add_argument(
        "--burst-records",
        type=_count,
        default=0,
        metavar="R",
        help="add one burst file of R records",
    )
    demo.add_argument(
        "--damaged", action="store_true", help="add orbits with files damaged in various ways"
    )
    demo.set_defaults(call=_demo)
    return parser, set(commands.choices)


def _settings(parser: argparse.ArgumentParser, optional: bool) -> None:
    parser.add_argument(
        "config",
        type=Path,
        nargs="?" if optional else None,
        metavar="CONFIG",
        help="settings file (TOML)" + ("; default: spectro-mpi.toml here" if optional else ""),
    )
    parser.add_argument(
        "-s",
        dest="set",
        action="append",
        default=[],
        metavar="key=value",
        help="override a setting, as in -s plot.dpi=100 (may be repeated)",
    )
