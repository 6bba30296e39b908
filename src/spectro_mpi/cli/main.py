"""The command line: arguments, and one short function per subcommand.

Only `run` may import MPI: on many login nodes `MPI_Init` aborts the process.
"""

from __future__ import annotations

import argparse
import codecs
import io
import os
import sys
import time
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spectro_mpi.errors import UserError
from spectro_mpi.rundir.layout import LOCAL_LOG, RUN_FIGURES

if TYPE_CHECKING:
    from spectro_mpi.settings.schema import Config

_WATCH_SECONDS = 5
_INTERRUPTED = 130
_PLAIN = {"–": "-", "×": "x", "→": "->"}
"""Signs of ours that Unicode does not take apart into plain ones."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit code."""
    _speak_any_encoding()
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
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


def _speak_any_encoding() -> None:
    """What a terminal's or a file's encoding does not have, is told in the nearest letters."""
    codecs.register_error("nearest", _nearest_letters)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="nearest")


def _nearest_letters(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    letters = (_PLAIN.get(one) or unicodedata.normalize("NFKD", one) for one in missing)
    plain = "".join(word if word.isascii() else "?" for word in letters)
    return plain, error.end


def _run(arguments: argparse.Namespace) -> int:
    # One thread a rank, before numpy is imported: ranks are the parallelism.
    for name in _THREADS:
        os.environ.setdefault(name, "1")
    from spectro_mpi.system.signals import StopSignals

    # Before what takes its time to import: a signal must find somebody who listens.
    with StopSignals() as signals:
        from spectro_mpi.mpi.request import Request
        from spectro_mpi.mpi.session import run
        from spectro_mpi.mpi.world import leave

        request = Request(
            config=arguments.config,
            overrides=tuple(arguments.set),
            fresh=arguments.fresh,
            retry=arguments.retry,
            redo=arguments.redo,
            active=frozenset([arguments.only]) if arguments.only else None,
            preparing=arguments.preparing,
            progress=arguments.progress,
            walltime=arguments.walltime,
        )
        code = run(request, signals)
        leave(code)  # a stop that is asked for now does no harm either
        return code


def _assets(arguments: argparse.Namespace) -> int:
    arguments.only, arguments.redo, arguments.fresh, arguments.retry = None, "", False, False
    return _run(arguments)


def _plan(arguments: argparse.Namespace) -> int:
    from spectro_mpi.draw import check_colormap
    from spectro_mpi.instruments.cdf import has_fast_reader
    from spectro_mpi.phases.order import make_line
    from spectro_mpi.planning.costs import jobs_of, load_constants
    from spectro_mpi.planning.events import marks_of
    from spectro_mpi.planning.inventory import take_inventory
    from spectro_mpi.planning.simulate import knee, simulate
    from spectro_mpi.settings.loading import load_config
    from spectro_mpi.terminal.summary import (
        print_inventory,
        print_knee,
        print_phases,
        print_simulated,
        print_stacks,
    )

    config = load_config(arguments.config, tuple(arguments.set))
    check_colormap(config.plot.colormap)
    marks_of(config)
    line = make_line(config)
    constants = load_constants(arguments.constants)
    inventory = take_inventory(config)
    print_inventory(config, inventory)
    print_phases(line)
    jobs = jobs_of(inventory.items, config, constants, has_fast_reader())
    alone = simulate(jobs, config, constants, 3, arguments.cores)
    for ranks in arguments.ranks:
        print_stacks(inventory, ranks)
        print_simulated(simulate(jobs, config, constants, ranks, arguments.cores), alone)
    print_knee(knee(jobs, config, constants, alone, arguments.cores), constants)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from spectro_mpi.operations.verify import verify

    return verify(arguments.run_dir, arguments.repair)


def _report(arguments: argparse.Namespace) -> int:
    if arguments.between:
        return _report_part(arguments)
    from spectro_mpi.report.pages import make_report

    tell = None if arguments.quiet else print
    page = make_report(arguments.run_dir, arguments.output, arguments.previews, tell)
    print(f"report: {page}")
    return 0


def _report_part(arguments: argparse.Namespace) -> int:
    from spectro_mpi.report.run_figures import load_and_memory, timeline, write_run_figures
    from spectro_mpi.rundir.reader import open_run

    open_run(arguments.run_dir)
    drawn = [draw(arguments.run_dir, arguments.between) for draw in (timeline, load_and_memory)]
    figures = [one for one in drawn if one is not None]
    if not figures:
        raise UserError(f"{arguments.run_dir}: nothing was sampled (run.sample_interval_seconds)")
    folder = arguments.output or arguments.run_dir / RUN_FIGURES
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = write_run_figures(figures, folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from None
    for path in written:
        print(f"{path} and {path.with_suffix('.png').name}")
    return 0


def _between(word: str) -> tuple[float, float]:
    from spectro_mpi.report.run_time import seconds_at

    try:
        first, last = map(seconds_at, word.split(","))
    except ValueError:
        first = last = 0.0
    if not 0 <= first < last:
        raise argparse.ArgumentTypeError(
            f"{word} is not two times of the run, such as 10:00,12:30 or 1:02:00,1:04:00"
        )
    return first, last


def _status(arguments: argparse.Namespace) -> int:
    from spectro_mpi.operations.status import as_json, as_text, read_status

    while True:
        status = read_status(arguments.run_dir)
        if arguments.json:
            print(as_json(status), flush=True)
        else:
            print(as_text(status, arguments.workers), flush=True)
        if not arguments.watch or status.state in ("finished", "stopped", "dead"):
            return 0
        time.sleep(_WATCH_SECONDS)


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
        f"{summary.bytes / 1e6:.0f} MB, {summary.events} cusp events"
    )
    for file in summary.damaged:
        print(f"  orbit {file.orbit} is damaged: {file.path.name}: {file.description}")
    print(f"try: mpirun -n 4 spectro-mpi {summary.directory / DEFAULT_FILE}")
    return 0


def _inspect(arguments: argparse.Namespace) -> int:
    from spectro_mpi.instruments.inspection import as_json, as_toml, inspect_file

    found = inspect_file(arguments.file, arguments.variables)
    print(as_json(found) if arguments.json else as_toml(found), end="")
    if not found.drawable:
        print(f"spectro-mpi: {arguments.file}: nothing in it can be drawn", file=sys.stderr)
    return 0 if found.drawable else 1


def _submit(arguments: argparse.Namespace) -> int:
    import shutil

    from spectro_mpi.operations import submit
    from spectro_mpi.rundir.claim import claim_directory
    from spectro_mpi.settings.loading import load_config

    config = load_config(arguments.config, tuple(arguments.set))
    here = arguments.local or not (arguments.dry_run or shutil.which("sbatch"))
    ranks = _ranks_wanted(arguments.ranks, config, os.cpu_count() if here else None)
    if arguments.dry_run:
        for name, script in submit.scripts_of(config, ranks).items():
            print(f"# {name}\n{script}")
        return 0
    if here and not arguments.local:
        raise UserError(
            "there is no sbatch on this machine; submit on a login node of a Slurm cluster, or "
            f"run here: mpirun -n {ranks} spectro-mpi run {arguments.config} (submit --local "
            "starts that detached)"
        )
    claim_directory(config)
    if arguments.local:
        started = submit.start_locally(config, ranks)
        print(f"mpirun with {ranks} ranks is started, process {started.local}")
        print(f"log:    {config.run_dir / LOCAL_LOG}")
    else:
        jobs = submit.submit(config, ranks)
        print(f"submitted with {ranks} ranks: job {jobs.pregenerate} (assets), then {jobs.run}")
        print(f"logs:   {config.run_dir / 'jobs' / '*.log'}")
    print(f"watch:  spectro-mpi status {config.run_dir} --watch")
    print(f"stop:   spectro-mpi cancel {config.run_dir}")
    return 0


def _ranks_wanted(word: str, config: Config, cores: int | None) -> int:
    """The number of ranks to start: as told, as set, or as `plan` finds worth asking for.

    `cores`: of this machine, if all ranks are to share them; None: one for each.
    """
    if word.isdecimal() and int(word):
        return int(word)
    if word != "auto":
        raise UserError(f'--ranks {word}: a number of ranks, or "auto", is wanted')
    if config.slurm.ntasks:
        return config.slurm.ntasks
    from spectro_mpi.instruments.cdf import has_fast_reader
    from spectro_mpi.planning.costs import jobs_of, load_constants
    from spectro_mpi.planning.inventory import take_inventory
    from spectro_mpi.planning.simulate import knee, simulate

    constants = load_constants(None)
    jobs = jobs_of(take_inventory(config).items, config, constants, has_fast_reader())
    best = knee(jobs, config, constants, simulate(jobs, config, constants, 3, cores), cores).ranks
    return min(best, cores + 2) if cores else best


def _cancel(arguments: argparse.Namespace) -> int:
    from spectro_mpi.operations.cancel import cancel

    for line in cancel(arguments.run_dir, arguments.now):
        print(line, flush=True)
    return 0


def _join(arguments: argparse.Namespace) -> int:
    from spectro_mpi.operations.join import join
    from spectro_mpi.settings.loading import load_config

    config = load_config(arguments.config, tuple(arguments.set))
    items = join(config, arguments.parts)
    print(f"{config.run_dir}: {items} items of {len(arguments.parts)} runs; draw them with")
    print(f"  spectro-mpi run {arguments.config}")
    return 0


def _walltime(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--walltime",
        type=_wall,
        default="",
        metavar="T",
        help="stop in time before this is over (minutes, HH:MM:SS, D-HH); default: as Slurm says",
    )


def _wall(word: str) -> str:
    from spectro_mpi.system.scheduler.slurm import seconds_of

    try:
        if word:  # argparse asks about the default, too
            seconds_of(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return word


def _ranks(word: str) -> list[int]:
    ranks = [int(part) for part in word.split(",")]
    if min(ranks) < 1:
        raise argparse.ArgumentTypeError("numbers of ranks start at 1")
    return ranks


def _cores(word: str) -> int:
    cores = int(word)
    if cores < 1:
        raise argparse.ArgumentTypeError("at least one core is wanted")
    return cores


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
    run.add_argument("--only", metavar="PHASE", help="just this phase: reduce, plot, or your own")
    run.add_argument(
        "--redo",
        default="",
        metavar="PHASE",
        help="do all items of this phase again, and of those that build on it",
    )
    _walltime(run)
    run.add_argument(
        "--no-progress", dest="progress", action="store_false", help="no progress display"
    )
    run.set_defaults(call=_run, preparing=False)

    assets = commands.add_parser(
        "assets",
        help="prepare a run: inventory, reduced data, extrema and frames of figures",
        description="Do ahead of a job with a short wall time all but the figures: the inventory "
        "of the input, reduced data, extrema, and the parts of figures that items share. Works "
        "with or without mpirun; `run` uses what is there.",
    )
    _settings(assets, optional=False)
    _walltime(assets)
    assets.add_argument(
        "--no-progress", dest="progress", action="store_false", help="no progress display"
    )
    assets.set_defaults(call=_assets, preparing=True)

    plan = commands.add_parser(
        "plan",
        help="what a run would do, how long it would take, and how many ranks are worth it",
        description="Items, bytes, the loads of the workers' stacks, and a simulation of the run "
        "with measured costs. Needs no MPI.",
    )
    _settings(plan, optional=False)
    plan.add_argument(
        "--ranks",
        type=_ranks,
        default=[4, 16, 64],
        metavar="N,N,…",
        help="numbers of MPI ranks to plan for (default 4,16,64)",
    )
    plan.add_argument(
        "--cores",
        type=_cores,
        metavar="C",
        help="cores that all ranks share (default: one each)",
    )
    plan.add_argument(
        "--constants",
        type=Path,
        metavar="FILE",
        help="costs measured on your machine by benchmarks/constants.py",
    )
    plan.set_defaults(call=_plan)

    status = commands.add_parser(
        "status",
        help="how far a run is",
        description="State, phases, failures of a run, from its directory alone.",
    )
    status.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    status.add_argument("--json", action="store_true", help="as JSON")
    status.add_argument("--workers", action="store_true", help="a line for each worker, too")
    status.add_argument(
        "--watch", action="store_true", help="again every few seconds until it ends"
    )
    status.set_defaults(call=_status)

    report = commands.add_parser(
        "report",
        help="make a page to browse a run's figures, errors and times with",
        description="Write RUN_DIR/report/index.html, which any browser opens from a disk or a "
        "web server: overview, gallery of all figures with values under the pointer, errors, "
        "extrema. A run makes it when it is over; make it while one goes on to see how far it is.",
    )
    report.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    report.add_argument(
        "--output", type=Path, metavar="DIR", help="write it there (default: RUN_DIR/report)"
    )
    report.add_argument(
        "--no-previews",
        dest="previews",
        action="store_false",
        help="do not make the thumbnails and values that are missing",
    )
    report.add_argument(
        "--between",
        type=_between,
        metavar="T,T",
        help="draw only the time line, load and memory between two times of the run, such as "
        "10:00,12:30, into RUN_DIR/report/part",
    )
    report.add_argument("--quiet", action="store_true", help="tell nothing but where the page is")
    report.set_defaults(call=_report)

    verify = commands.add_parser(
        "verify",
        help="read all of a run's output and say what is wrong",
        description="Hold progress against files; open every shard and every figure. Exit codes: "
        "0 all is as it should be; 1 something was wrong.",
    )
    verify.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    verify.add_argument(
        "--repair", action="store_true", help="have what is concerned done again by the next run"
    )
    verify.set_defaults(call=_verify)

    inspect = commands.add_parser(
        "inspect",
        help="what of a CDF file can be drawn, and the settings for it",
        description="List the variables of a CDF file of any mission, with their axes, and print "
        "settings that draw it: `spectro-mpi inspect FILE > spectro-mpi.toml`. What is no setting "
        "stands in comments. Exit codes: 0; 1 nothing in it can be drawn; 2 it cannot be read.",
    )
    inspect.add_argument("file", type=Path, metavar="FILE")
    inspect.add_argument(
        "variables", nargs="*", metavar="VARIABLE", help="just these; default: all data variables"
    )
    inspect.add_argument("--json", action="store_true", help="as JSON")
    inspect.set_defaults(call=_inspect)

    submit = commands.add_parser(
        "submit",
        help="submit a run to Slurm, or start it here detached",
        description="Write job scripts for the run into its directory and submit them: assets "
        "first, then the run, which goes back into the queue until it is done.",
    )
    _settings(submit, optional=False)
    submit.add_argument(
        "--ranks",
        default="auto",
        metavar="N",
        help="MPI ranks; auto (default): slurm.ntasks, or what `plan` finds worth asking for",
    )
    submit.add_argument("--dry-run", action="store_true", help="print the scripts, submit nothing")
    submit.add_argument(
        "--local", action="store_true", help="start mpirun on this machine instead, detached"
    )
    submit.set_defaults(call=_submit)

    cancel = commands.add_parser(
        "cancel",
        help="stop a run: cleanly, or at once",
        description="Ask a run, wherever it is, to finish what it has in hand and stop.",
    )
    cancel.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    cancel.add_argument(
        "--now", action="store_true", help="end its jobs and processes, named first, at once"
    )
    cancel.set_defaults(call=_cancel)

    join = commands.add_parser(
        "join",
        help="make one run directory of several with disjoint shares of the items",
        description="Join run directories made with select.share (jobs/array.sbatch) into that "
        "of CONFIG; `run` then draws the figures, on axes common to all.",
    )
    _settings(join, optional=False)
    join.add_argument("parts", type=Path, nargs="+", metavar="RUN_DIR")
    join.set_defaults(call=_join)

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
