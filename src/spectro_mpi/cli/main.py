"""The command `spectro-mpi`: its subcommands and its handling of errors."""

from __future__ import annotations

import argparse
import codecs
import io
import os
import sys
import unicodedata
from collections.abc import Sequence

from spectro_mpi.cli import draw, jobs, look, plan, run
from spectro_mpi.cli import input as of_input
from spectro_mpi.errors import UserError

_INTERRUPTED = 130
_PLAIN = {"–": "-", "×": "x", "→": "->"}
"""Replacements for characters in our output that Unicode does not decompose into ASCII."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns the exit code. `argv` is by default that of the process."""
    _print_in_any_encoding()
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
        # The reader of our output (head, less) has exited, so no message can reach it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


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


def _print_in_any_encoding() -> None:
    """Replace characters that the encoding of the output lacks by the nearest letters."""
    codecs.register_error("nearest", _nearest_letters)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="nearest")


def _nearest_letters(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    letters = (_PLAIN.get(char) or unicodedata.normalize("NFKD", char) for char in missing)
    plain = "".join(word if word.isascii() else "?" for word in letters)
    return plain, error.end
