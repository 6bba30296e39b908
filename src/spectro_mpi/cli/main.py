"""The command `spectro-mpi`: its subcommands and its handling of errors."""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from spectro_mpi.cli import run
from spectro_mpi.cli.arguments import Commands, Parser
from spectro_mpi.cli.console import Console, consoles
from spectro_mpi.cli.corrections import check_options, refuse_rest, with_command
from spectro_mpi.errors import UserError
from spectro_mpi.system.launchers import launched

_INTERRUPTED = 130
_GARBAGE = 50_000
"""New objects after which Python looks for garbage; imports, which make none, make 200,000."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns the exit code. `argv` is by default that of the process."""
    words = sys.argv[1:] if argv is None else argv
    with consoles() as out:
        try:
            try:
                code = _call(_parsed(words), out)
            finally:
                out.flush()
                if out.trouble is not None and not out.goes_on:
                    raise out.trouble  # argparse drops it
        except UserError as error:
            start = launched()
            if start is None or start.rank == 0:  # once, not by every rank
                print(f"spectro-mpi: {error}", file=sys.stderr)
            return error.exit_code
        except OSError as error:
            return _report(error, out)
        except KeyboardInterrupt:
            return _INTERRUPTED
    return code


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    """The arguments of the command line. Raises `UserError` for words that nothing accepts."""
    with _said_once():
        return _parse(words)


@contextlib.contextmanager
def _said_once() -> Iterator[None]:
    """Let only rank 0 print what argparse prints: help and version."""
    start = launched()
    if start is None or start.rank == 0:
        yield
        return
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield


def _parse(words: Sequence[str]) -> argparse.Namespace:
    # Ranks need no parsers of other commands, which take as long as importing half of NumPy.
    is_run = bool(words) and (words[0] == "run" or Path(words[0]).suffix == ".toml")
    parser, commands = parsers(only_run=is_run)
    argv = with_command(words, commands)
    command = argv[0]
    if command in commands:
        check_options(command, argv[1:], commands[command])
    arguments, rest = parser.parse_known_args(argv)
    if rest:
        refuse_rest(argv, rest, parsers()[1])
    return arguments


def _call(arguments: argparse.Namespace, out: Console) -> int:
    """Run the subcommand; a run goes on if nobody reads its output."""
    try:
        Path.cwd()
    except OSError:
        raise UserError(
            "the current directory does not exist any more; change to another one"
        ) from None
    out.goes_on = arguments.call in run.CALLS
    if not out.goes_on:
        gc.set_threshold(_GARBAGE)
        gc.enable()  # ranks do so when they begin their work
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


def parsers(only_run: bool = False) -> tuple[Parser, dict[str, Parser]]:
    """The parser of the command line, and those of the commands by their names.

    With `only_run`, the only ones are `run` and `assets`.
    """
    parser = Parser(
        prog="spectro-mpi",
        description="Spectrograms of space-physics particle CDF files, by the thousand, under MPI.",
        epilog="`run` is the default command: `mpirun -n 8 spectro-mpi settings.toml`. "
        "Exit codes: 0 all items done; 3 finished, some items failed; 75 stopped early on "
        "request, run again to continue; 2 wrong usage or settings; 1 anything else.",
    )
    parser.add_argument(
        "-V", "--version", action=_Version, nargs=0, help="print the version and exit"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run.add(commands)
    if not only_run:
        _add_others(commands, parser)
    return parser, dict(commands.choices)


def _add_others(commands: Commands, parser: Parser) -> None:
    """Add the parsers of the commands that start no ranks."""
    from spectro_mpi.cli import completion, draw, export, fetch, jobs, look, plan
    from spectro_mpi.cli import input as of_input

    plan.add(commands)
    look.add(commands)
    draw.add(commands)
    export.add(commands)
    of_input.add_inspect(commands)
    fetch.add(commands)
    jobs.add(commands)
    of_input.add_demo(commands)
    completion.add(commands, parser)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import spectro_mpi

        print(f"spectro-mpi {spectro_mpi.__version__}")
        parser.exit()
