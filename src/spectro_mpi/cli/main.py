"""The command `spectro-mpi`: its subcommands and its handling of errors."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Sequence
from pathlib import Path

from spectro_mpi.cli import draw, jobs, look, plan, run
from spectro_mpi.cli import input as of_input
from spectro_mpi.cli.console import Console, consoles
from spectro_mpi.errors import UserError

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns the exit code. `argv` is by default that of the process."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser, commands = _parser()
    if not argv or (argv[0] not in commands and argv[0] not in ("-h", "--help", "--version")):
        argv.insert(0, "run")
    with consoles() as out:
        try:
            try:
                code = _call(parser.parse_args(argv), out)
            finally:
                out.flush()
                if out.trouble is not None and not out.goes_on:
                    raise out.trouble  # argparse drops it
        except UserError as error:
            print(f"spectro-mpi: {error}", file=sys.stderr)
            return error.exit_code
        except OSError as error:
            return _report(error, out)
        except KeyboardInterrupt:
            return _INTERRUPTED
    return code


def _call(arguments: argparse.Namespace, out: Console) -> int:
    """Run the subcommand; a run goes on if nobody reads its output."""
    try:
        Path.cwd()
    except OSError:
        raise UserError(
            "the current directory does not exist any more; change to another one"
        ) from None
    out.goes_on = arguments.call in run.CALLS
    code: int = arguments.call(arguments)
    return code


def _report(error: OSError, out: Console) -> int:
    """Print why a file or the output cannot be read or written; returns the exit code."""
    why = error.strerror or str(error)
    if error is not out.trouble:
        where = f"{error.filename}: " if error.filename else ""
        print(f"spectro-mpi: {where}{why}", file=sys.stderr)
    elif error.errno != errno.EPIPE:  # the reader (head, less) has seen what it wanted
        print(f"spectro-mpi: the output cannot be printed: {why}", file=sys.stderr)
    return 1


def _parser() -> tuple[argparse.ArgumentParser, set[str]]:
    parser = argparse.ArgumentParser(
        prog="spectro-mpi",
        description="Spectrograms of space-physics particle CDF files, by the thousand, under MPI.",
        epilog="`run` is the default command: `mpirun -n 8 spectro-mpi settings.toml`. "
        "Exit codes: 0 all items done; 3 finished, some items failed; 75 stopped early on "
        "request, run again to continue; 2 wrong usage or settings; 1 anything else.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run.add(commands)
    plan.add(commands)
    look.add(commands)
    draw.add(commands)
    of_input.add_inspect(commands)
    jobs.add(commands)
    of_input.add_demo(commands)
    return parser, set(commands.choices)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import spectro_mpi

        print(f"spectro-mpi {spectro_mpi.__version__}")
        parser.exit()
