"""`fetch`: get input files from a web archive."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from typing import TYPE_CHECKING

from spectro_mpi.cli.arguments import Commands, add_no_progress, add_settings, load
from spectro_mpi.errors import SOME_FAILED, STOPPED

if TYPE_CHECKING:
    from spectro_mpi.fetch.gathering import FetchPlan, Outcome
    from spectro_mpi.settings.schema import Config
    from spectro_mpi.system.signals import StopSignals


def add(commands: Commands) -> None:
    """Add the parser of `fetch`."""
    fetch = commands.add_parser(
        "fetch",
        help="get the input files from a web archive",
        description="Get the files that [select] selects (orbits, dates, instruments) from a web "
        "archive into the folder `input`: the newest version of each that is whole. Files that are "
        "there already are left alone; a transfer that broke off is resumed. Needs no MPI. Exit "
        "codes: 0 all there; 3 some could not be had (listed); 75 stopped on request, run again "
        "to continue; 2 wrong settings, or nothing to get; 1 anything else.",
    )
    add_settings(fetch, optional=True)
    fetch.add_argument(
        "-n", "--dry-run", action="store_true", help="list the files to get; do not get them"
    )
    add_no_progress(fetch)
    fetch.set_defaults(call=_fetch)


def _fetch(arguments: argparse.Namespace) -> int:
    from spectro_mpi.system.signals import StopSignals

    config = load(arguments)
    with StopSignals() as signals:
        return _Fetch(config, signals, arguments.progress).run(arguments.dry_run)


class _Fetch:
    """The search and the transfers, each ended by a signal."""

    def __init__(self, config: Config, signals: StopSignals, visible: bool) -> None:
        from spectro_mpi import __version__
        from spectro_mpi.fetch.web import Web
        from spectro_mpi.terminal.transfers import TransferDisplay

        self._config = config
        self._signals = signals
        self._stop = threading.Event()
        self._web = Web(config.fetch, __version__, self._stop)
        self._display = TransferDisplay(visible)

    def run(self, dry: bool) -> int:
        """Returns the exit code."""
        from spectro_mpi.fetch.gathering import Outcome, gather

        began = time.monotonic()
        plan = self._plan()
        if plan is None:
            print("stopped; run again to continue")
            return STOPPED
        for notice in plan.notices:
            print(notice)
        _print_plan(plan, dry)
        outcome = Outcome()
        if not dry and plan.wanted:
            _warn_of_room(plan, self._config)
            self._display.begin(len(plan.wanted), plan.size)
            try:
                outcome = gather(plan, self._config, self._web, self._stop, self._show)
            finally:
                self._display.end()
        problems = [*plan.problems, *outcome.problems]
        _print_outcome(plan, outcome, problems, None if dry else time.monotonic() - began)
        if outcome.is_stopped:
            return STOPPED
        return SOME_FAILED if problems else 0

    def _plan(self) -> FetchPlan | None:
        """What there is to get; None: a signal ended the search.

        The search is done by a thread, so that a server that stalls does not delay the signal.
        """
        from spectro_mpi.fetch.gathering import plan_fetch

        done: list[FetchPlan] = []
        failed: list[Exception] = []

        def search() -> None:
            try:
                done.append(plan_fetch(self._config, self._web, self._display.listing))
            except Exception as error:  # noqa: BLE001 - raised again below
                failed.append(error)

        thread = threading.Thread(target=search, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(0.1)
            if self._signals.received:
                self._stop.set()
                return None
        if failed:
            raise failed[0]
        return done[0]

    def _show(self, outcome: Outcome) -> bool:
        self._display.show(outcome.fetched, len(outcome.problems), outcome.bytes)
        return not self._signals.received


def _print_plan(plan: FetchPlan, dry: bool) -> None:
    from spectro_mpi.system.words import count

    if dry:
        for wanted in plan.wanted:
            size = f"{wanted.size / 1e6:8.1f} MB" if wanted.size else "      ? MB"
            print(f"{size}  {wanted.versions[0].url}")
    size = f", about {plan.size / 1e6:.1f} MB" if plan.size else ""
    print(f"{count(len(plan.wanted), 'file')} to get{size}; {plan.present} already here")


def _warn_of_room(plan: FetchPlan, config: Config) -> None:
    """Print a line if the disk has less room than the listings say is needed."""
    import shutil

    from spectro_mpi.fetch.gathering import folder_of

    folder = folder_of(config)
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if plan.size > free:
        print(f"{folder}: has room for {free / 1e6:.0f} MB only")


def _print_outcome(
    plan: FetchPlan, outcome: Outcome, problems: list[str], seconds: float | None
) -> None:
    from spectro_mpi.system.words import count, duration

    if seconds is not None and plan.wanted:
        print(
            f"{outcome.fetched} of {count(len(plan.wanted), 'file')} fetched, "
            f"{outcome.bytes / 1e6:.1f} MB in {duration(seconds)}"
        )
    if outcome.is_stopped:
        print("stopped; run again to continue")
    if problems:
        print(f"could not be had ({len(problems)}):", file=sys.stderr)
        for problem in problems:
            print(f"  {problem}", file=sys.stderr)
