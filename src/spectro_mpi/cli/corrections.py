"""Mistyped commands and options: which one was meant."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from spectro_mpi.errors import UserError
from spectro_mpi.system.words import nearest

_MEANT = {
    "check": "verify",
    "continue": "run",
    "kill": "cancel",
    "list": "runs",
    "ls": "runs",
    "merge": "join",
    "plot": "draw",
    "resume": "run",
    "show": "report",
    "start": "run",
    "stop": "cancel",
    "version": "--version",
    "watch": "status --watch",
}
"""Words of other programs → the command that does this."""
_RANKS = ("-np", "--np", "-j", "--jobs", "--workers", "--processes")
"""What other programs call `-n`."""

_TOP = ("-h", "--help", "-V", "--version")


def with_command(words: Sequence[str], commands: Mapping[str, object]) -> list[str]:
    """The words of the command line, with `run` put first if they begin with no command.

    `help COMMAND` is `COMMAND --help`. Raises `UserError` for a first word that is neither a
    command nor a path.
    """
    first = words[0] if words else ""
    if first == "help":
        return [*words[1:2], "--help"]
    if first in commands or first in _TOP:
        return list(words)
    path = Path(first)
    if first and first[0] != "-" and not (path.suffix or "/" in first or path.exists()):
        similar = nearest(first, [*commands, *_MEANT], hint="{}")
        hint = f"; did you mean {_MEANT.get(similar, similar)}?" if similar else ""
        raise UserError(
            f"{first}: there is no such command or settings file"
            f"{hint or '; `spectro-mpi --help` lists the commands'}"
        )
    return ["run", *words]


def check_options(command: str, words: Sequence[str], parser: argparse.ArgumentParser) -> None:
    """Raise `UserError` for an option that a command does not have, with the most similar one.

    argparse would report first what is missing because of that.
    """
    known = list(parser._option_string_actions)  # there is no public list of them
    for word in words:
        if word == "--":
            return
        name = word.partition("=")[0]
        if not name.startswith("-") or not name.strip("-")[:1].isalpha() or " " in name:
            continue
        if name.startswith("--"):
            is_known = any(option.startswith(name) for option in known)
        else:
            is_known = name[:2] in known  # a value may follow without a space
        is_ranks = name in _RANKS and "-n" in known
        if is_ranks or not is_known:
            long_names = [option[2:] for option in known if option.startswith("--")]
            similar = nearest(name.lstrip("-"), long_names, hint="--{}")
            meant = "-n" if is_ranks else similar
            hint = f"; did you mean {meant}?" if meant else ""
            raise UserError(
                f"{command}: there is no option {name}"
                f"{hint or f'; `spectro-mpi {command} --help` lists its options'}"
            )


def refuse_rest(words: Sequence[str], rest: Sequence[str], commands: Mapping[str, object]) -> None:
    """Raise `UserError` for the `rest`: words that no argument of the command takes."""
    if rest:
        is_late = any(word in commands for word in words[1:])
        hint = "; write the command before its options" if is_late else ""
        raise UserError(f"{words[0]}: unexpected {' '.join(rest)}{hint}")
