"""Arguments that several subcommands take, and the types of arguments."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from spectro_mpi.settings.schema import Config

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What `add` of a subcommand's module adds its parsers to."""


def add_settings(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    """A settings file, and `-s` to override single settings; `load` reads them."""
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


def load(arguments: argparse.Namespace) -> Config:
    """The settings that the arguments name. Raises `SettingsError`."""
    from spectro_mpi.settings.loading import load_config

    return load_config(arguments.config, tuple(arguments.set))


def add_run_dir(parser: argparse.ArgumentParser) -> None:
    """A run directory."""
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")


def add_walltime(parser: argparse.ArgumentParser) -> None:
    """How long the job may take."""
    parser.add_argument(
        "--walltime",
        type=walltime,
        default="",
        metavar="T",
        help="stop before this time is over (minutes, HH:MM:SS, D-HH); default: as Slurm says",
    )


def add_no_progress(parser: argparse.ArgumentParser) -> None:
    """Whether to show progress."""
    parser.add_argument(
        "--no-progress", dest="progress", action="store_false", help="no progress display"
    )


def walltime(word: str) -> str:
    """A wall time as Slurm writes it."""
    from spectro_mpi.system.scheduler.walltime import seconds_of

    try:
        if word:  # argparse asks about the default, too
            seconds_of(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return word


def ranks(word: str) -> list[int]:
    """Numbers of MPI ranks, separated by commas."""
    numbers = [int(part) for part in word.split(",")]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError("numbers of ranks start at 1")
    return numbers


def cores(word: str) -> int:
    """A number of cores."""
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one core is needed")
    return number


def count(word: str) -> int:
    """A number of things, or none."""
    number = int(word)
    if number < 0:
        raise argparse.ArgumentTypeError("a number of at least 0 is needed")
    return number


def between(word: str) -> tuple[float, float]:
    """Two times of a run, in seconds from its start."""
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
