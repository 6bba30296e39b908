"""`status`, `runs`, `report`, `serve`, `verify`: show and check runs."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from spectro_mpi.cli.arguments import Commands, add_run_dir, between, port, run_dir_of
from spectro_mpi.errors import UserError
from spectro_mpi.system.launchers import launched

_WATCH_SECONDS = 5


def add(commands: Commands) -> None:
    """Add the parsers of `status`, `runs`, `report`, `serve` and `verify`."""
    _add_status(commands)
    _add_runs(commands)
    _add_report(commands)
    _add_serve(commands)
    _add_verify(commands)


def _add_status(commands: Commands) -> None:
    status = commands.add_parser(
        "status",
        help="show the state of a run",
        description="Show state, phases and failures of a run, also while it is running.",
    )
    add_run_dir(status)
    status.add_argument("--json", action="store_true", help="print JSON")
    status.add_argument("--workers", action="store_true", help="add a line per worker")
    status.add_argument(
        "--watch", action="store_true", help="repeat every few seconds until the run ends"
    )
    status.set_defaults(call=_status)


def _add_runs(commands: Commands) -> None:
    runs = commands.add_parser(
        "runs",
        help="list the runs in a directory",
        description="List the runs in a directory, that with the latest change first: state, "
        "items, failures, size.",
    )
    runs.add_argument(
        "directory",
        type=Path,
        nargs="?",
        metavar="DIR",
        help="directory of run directories, or a settings file, whose `output` is meant (default: "
        "./spectro-mpi.toml, else ./runs)",
    )
    runs.set_defaults(call=_runs)


def _add_report(commands: Commands) -> None:
    report = commands.add_parser(
        "report",
        help="make a page to browse a run's figures, errors and times",
        description="Write RUN_DIR/report/index.html, which any browser opens from a disk or a "
        "web server: overview, gallery of all figures with values under the pointer, errors, "
        "extrema. A run writes it when it ends; run this command during a run to see its progress.",
    )
    add_run_dir(report)
    report.add_argument(
        "--output", type=Path, metavar="DIR", help="write the page to DIR (default: RUN_DIR/report)"
    )
    report.add_argument(
        "--no-previews",
        dest="previews",
        action="store_false",
        help="do not add missing thumbnails and values",
    )
    report.add_argument(
        "--no-run-figures",
        dest="run_figures",
        action="store_false",
        help="do not draw the time line, load and memory of the run, which takes a second or two; "
        "at the end of a run of less than a minute they are left out",
    )
    report.add_argument(
        "--between",
        type=between,
        metavar="T,T",
        help="draw only the time line, load and memory between two times of the run, such as "
        "10:00,12:30, or clock times (UTC), such as 14:05Z,14:20Z or with dates, into "
        "RUN_DIR/report/part",
    )
    report.add_argument("--quiet", action="store_true", help="print only the report's path")
    report.set_defaults(call=_report)


def _add_serve(commands: Commands) -> None:
    serve = commands.add_parser(
        "serve",
        help="show a run's report over HTTP, also while it is running",
        description="Serve the report of a run to a browser on this machine, or through ssh on "
        "another one. The page follows a run that is going on. Nothing is written into the run "
        "directory; of its files, only previews and figures are served. Ctrl-C ends it. Exit "
        "codes: 0 ended; 2 no run directory, or the port cannot be used.",
    )
    add_run_dir(serve)
    serve.add_argument(
        "--port",
        type=port,
        default=0,
        metavar="N",
        help="port to listen on (default: the first free one from 8765)",
    )
    serve.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on (default: 127.0.0.1, reached from this machine only)",
    )
    serve.set_defaults(call=_serve)


def _add_verify(commands: Commands) -> None:
    verify = commands.add_parser(
        "verify",
        help="read all output of a run and list problems",
        description="Check progress against files; read every data file and every figure. Under "
        "mpirun or srun the ranks share the items. Exit codes: 0 no problems; 1 problems found.",
    )
    add_run_dir(verify)
    verify.add_argument(
        "--inputs",
        action="store_true",
        help="also read every input file (about 1 GB/s from a fast disk) and compare its SHA-256 "
        "with that of the file its data were made from; a run compares names and sizes only",
    )
    verify.add_argument(
        "--quick",
        action="store_true",
        help="do not read the pixels of figures: finds files that are missing, cut off, too long "
        "or of something else, but not a changed byte among the pixels",
    )
    verify.add_argument(
        "--repair", action="store_true", help="mark affected items to be redone by the next run"
    )
    verify.set_defaults(call=_verify)


def _status(arguments: argparse.Namespace) -> int:
    from spectro_mpi.operations.status import as_json, as_text, read_status
    from spectro_mpi.resources.lines import GrowingLines

    run_dir, lines = run_dir_of(arguments), GrowingLines()
    while True:
        status = read_status(run_dir, lines)
        if arguments.json:
            print(as_json(status), flush=True)
        else:
            print(as_text(status, arguments.workers), flush=True)
        if not arguments.watch or status.state in ("finished", "stopped", "dead"):
            return 0
        time.sleep(_WATCH_SECONDS)


def _runs(arguments: argparse.Namespace) -> int:
    from spectro_mpi.operations.runs import output_of, runs_in

    folder = output_of(arguments.directory)
    found = False
    for found_run in runs_in(folder):
        print(found_run, flush=True)
        found = True
    if not found:
        print(f"{folder}: there are no runs")
    return 0


def _report(arguments: argparse.Namespace) -> int:
    if arguments.between:
        return _report_part(arguments)
    from spectro_mpi.report.pages import make_report

    page = make_report(
        run_dir_of(arguments),
        arguments.output,
        arguments.previews,
        arguments.run_figures,
        None if arguments.quiet else print,
    )
    print(f"report: {page}")
    return 0


def _report_part(arguments: argparse.Namespace) -> int:
    from spectro_mpi.report.run_figures import load_and_memory, timeline, write_run_figures
    from spectro_mpi.report.run_time import read_run_time
    from spectro_mpi.rundir.layout import RUN_FIGURES
    from spectro_mpi.rundir.reader import open_run

    run_dir = run_dir_of(arguments)
    open_run(run_dir)
    time = read_run_time(run_dir)
    figures = []
    if time is not None:
        span = time.span(*arguments.between)
        drawn = [draw(run_dir, span) for draw in (timeline, load_and_memory)]
        figures = [figure for figure in drawn if figure is not None]
    if not figures:
        raise UserError(f"{run_dir}: nothing was sampled; set run.sample_interval_seconds above 0")
    folder = arguments.output or run_dir / RUN_FIGURES
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = write_run_figures(figures, folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from None
    for path in written:
        print(f"{path} and {path.with_suffix('.png').name}")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    from spectro_mpi.report.serve import serve

    def tell(line: str) -> None:
        print(line, flush=True)

    serve(run_dir_of(arguments), arguments.host, arguments.port, tell)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from spectro_mpi.operations.team import ALONE, Team
    from spectro_mpi.operations.verify import Thoroughness, verify

    run_dir, how = run_dir_of(arguments), Thoroughness(arguments.inputs, arguments.quick)

    def call(team: Team) -> int:
        return verify(run_dir, arguments.repair, how, team)

    start = launched()
    if start is None or start.ranks == 1:
        return call(ALONE)  # MPI_Init aborts the process on many login nodes
    from spectro_mpi.mpi.team import call_on_ranks

    return call_on_ranks(call)
