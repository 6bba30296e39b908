"""Arguments shared by several subcommands, and types of arguments."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from spectro_mpi.errors import UserError
from spectro_mpi.system.words import nearest

if TYPE_CHECKING:
    from spectro_mpi.report.run_time import Moment
    from spectro_mpi.settings.schema import Config


class Parser(argparse.ArgumentParser):
    """A parser that reports a mistake in one line, with the most similar choice."""

    def error(self, message: str) -> NoReturn:
        """Raise `UserError`."""
        command = self.prog.partition(" ")[2]
        where = f"{command}: " if command else ""
        hint = f"; `{self.prog} --help` lists its arguments" if "required" in message else ""
        raise UserError(f"{where}{message.removeprefix('argument ')}{hint}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = list(map(str, action.choices))
            raise argparse.ArgumentError(
                action, f"{value} is none of {', '.join(choices)}{nearest(str(value), choices)}"
            )


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"
"""The object to which `add` of each module adds the parsers of its subcommands."""


def add_settings(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    """Add the settings file, and `-s` to override single settings; `load` reads them."""
    parser.add_argument(
        "config",
        type=Path,
        nargs="?" if optional else None,
        metavar="CONFIG",
        help="settings file (TOML)" + ("; default: ./spectro-mpi.toml" if optional else ""),
    )
    add_overrides(parser)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add `-s`, to override single settings."""
    parser.add_argument(
        "-s",
        dest="set",
        type=_override,
        action="append",
        default=[],
        metavar="key=value",
        help="override a setting, such as -s plot.dpi=100 (may be repeated)",
    )


def load(arguments: argparse.Namespace) -> Config:
    """Load the settings that the arguments name. Raises `SettingsError`."""
    from spectro_mpi.settings.loading import load_config
    from spectro_mpi.terminal.summary import warn_of_slips

    config = load_config(arguments.config, tuple(arguments.set))
    warn_of_slips(config)
    return config


def add_run_dir(parser: argparse.ArgumentParser) -> None:
    """Add the run; `run_dir_of` finds its directory."""
    parser.add_argument(
        "run",
        metavar="RUN_DIR",
        help="directory of the run, its settings file, or its run id in the `output` of "
        "./spectro-mpi.toml (else in ./runs)",
    )


def run_dir_of(arguments: argparse.Namespace) -> Path:
    """The run directory that the arguments name. Raises `UserError` if there is none."""
    from spectro_mpi.operations.runs import run_directory

    return run_directory(arguments.run)


def add_walltime(parser: argparse.ArgumentParser) -> None:
    """Add the wall time of the job."""
    parser.add_argument(
        "--walltime",
        type=walltime,
        default="",
        metavar="T",
        help="stop before this wall time ends (minutes, HH:MM:SS, D-HH); default: that of the job",
    )


def add_no_progress(parser: argparse.ArgumentParser) -> None:
    """Add `--no-progress`."""
    parser.add_argument(
        "--no-progress", dest="progress", action="store_false", help="do not show progress"
    )


def add_log_level(parser: argparse.ArgumentParser) -> None:
    """Add `--log-level`."""
    from spectro_mpi.system.logs import LEVELS

    parser.add_argument(
        "--log-level",
        type=str.lower,
        choices=LEVELS,
        default="",
        help="what to write to the logs in RUN_DIR/logs (default: info, and of compute processes "
        "warning)",
    )


def walltime(word: str) -> str:
    """Check a wall time in the notation of Slurm; the argument is returned as it is."""
    from spectro_mpi.system.scheduler.walltime import seconds_of

    try:
        if word:  # argparse checks the default, too
            seconds_of(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return word


def ranks(word: str) -> list[int]:
    """Parse numbers of MPI ranks, separated by commas."""
    return [positive(part) for part in word.split(",")]


def positive(word: str) -> int:
    """Parse a number of at least 1."""
    return _whole(word, 1)


def count(word: str) -> int:
    """Parse a number that is not negative."""
    return _whole(word, 0)


def port(word: str) -> int:
    """Parse a TCP port."""
    return _whole(word, 1, (1 << 16) - 1)


def between(word: str) -> tuple[Moment, Moment]:
    """Parse two times of a run, or clock times, separated by a comma."""
    from spectro_mpi.report.run_time import moment_of

    try:
        first, last = map(moment_of, word.split(","))
        if isinstance(first, float) and isinstance(last, float) and first >= last:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{word} is not two times of the run, such as 10:00,12:30 or 1:02:00,1:04:00, or clock "
            'times (UTC), such as 14:05Z,14:20Z or "2026-01-31 23:50,2026-02-01 00:10"'
        ) from None
    return first, last


def _whole(word: str, least: int, most: int | None = None) -> int:
    try:
        number = int(word)
    except ValueError:
        number = least - 1
    if number < least or (most is not None and number > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise argparse.ArgumentTypeError(f"expected a whole number {bounds}, not {word}")
    return number


def _override(word: str) -> str:
    """Check that `-s` got a setting and its value; the argument is returned as it is."""
    if "=" not in word:
        raise argparse.ArgumentTypeError(f"expected key=value, as in plot.dpi=100, not {word}")
    return word
