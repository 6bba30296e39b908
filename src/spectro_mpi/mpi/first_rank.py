"""What rank 0 does before the roles start: claim the directory, plan; and after: the report."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

from spectro_mpi.draw import check_colormap
from spectro_mpi.errors import writing
from spectro_mpi.mpi.ranks import COORDINATOR
from spectro_mpi.mpi.request import Request
from spectro_mpi.phases.contributions import kept_files
from spectro_mpi.phases.order import PhaseOrder, order_phases
from spectro_mpi.phases.run_figures import draw_run_figures
from spectro_mpi.phases.shared_arrays import create_assets
from spectro_mpi.planning.events import events_content, keep_events, marks_of
from spectro_mpi.planning.inventory import (
    Inventory,
    NoInputError,
    load_inventory,
    save_inventory,
    save_left_out,
    take_inventory,
)
from spectro_mpi.planning.prune import prune
from spectro_mpi.planning.todo import RunPlan, plan_run
from spectro_mpi.previews.packs import pack_previews
from spectro_mpi.resources.archive import fold
from spectro_mpi.rundir.claim import claim_directory, open_for_writing, refuse_other_versions
from spectro_mpi.rundir.data_files import has_data
from spectro_mpi.rundir.digests import complete_digests
from spectro_mpi.rundir.journal import load_progress
from spectro_mpi.rundir.layout import INVENTORY, LEFT_OUT, PAGE, rank_log
from spectro_mpi.rundir.lock import RunLock
from spectro_mpi.rundir.repair import repair
from spectro_mpi.rundir.tallies import drop_stale
from spectro_mpi.settings.loading import load_config
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import name_parts_for
from spectro_mpi.system.logs import RankLog
from spectro_mpi.system.signals import StopSignals
from spectro_mpi.system.untrusted import UntrustedCalls
from spectro_mpi.terminal.steps import Steps
from spectro_mpi.terminal.summary import print_inventory, print_what_is_gone, warn_of_slips

_WITH_FIGURES_SECONDS = 60.0
"""A run that takes longer has its own figures in its report."""
_REPORT_SECONDS = 600.0
"""Longest time the end of a run waits for its report."""


def make_report(config: Config, request: Request, anything_done: bool, seconds: float) -> None:
    """Make the run's report in a separate process, so that its failure cannot fail the run.

    After a run of few `seconds` it has no figures of the run: they would take most of its time.
    """
    if request.assets_only or not (anything_done or not (config.run_dir / PAGE).exists()):
        return
    command = [sys.executable, "-m", "spectro_mpi", "report", "--no-previews", "--quiet"]
    if seconds < _WITH_FIGURES_SECONDS:
        command.append("--no-run-figures")
    trouble = ""
    try:
        completed = subprocess.run(
            [*command, str(config.run_dir)],
            capture_output=True,
            text=True,
            timeout=_REPORT_SECONDS,
            check=False,
        )
        if completed.returncode:
            trouble = completed.stderr.strip().rpartition("\n")[2]
    except subprocess.TimeoutExpired:
        trouble = f"it took longer than {_REPORT_SECONDS:.0f} s"
    except OSError as error:
        trouble = str(error)
    if trouble:
        print(
            f"the report was not made ({trouble}); "
            f"make it with `spectro-mpi report {config.run_dir}`"
        )
    else:
        print(f"report: {config.run_dir / PAGE}", flush=True)


def draw_results(order: PhaseOrder, request: Request, lock: RunLock) -> None:
    """Draw the figures of the whole run; what goes wrong is printed, and fails nothing."""
    if not request.assets_only:
        for sentence in draw_run_figures(order, lock.owner):
            print(sentence, flush=True)


def keep_previews(config: Config, lock: RunLock) -> None:
    """Pack the previews of the items. If that fails, they stay as they are, which is told."""
    try:
        pack_previews(config.run_dir, lock.beat)
    except OSError as error:
        where = error.filename or config.run_dir
        print(f"{where}: previews cannot be packed ({error.strerror or error}); they stay files")


def settings_of(request: Request) -> PhaseOrder:
    """Load and check the settings; returns the order of their phases. Raises `UserError`."""
    if callable(request.config):
        config = request.config()
    else:
        config = load_config(request.config, request.overrides)
    warn_of_slips(config)
    check_colormap(config.plot.colormap)
    marks_of(config)  # so that an unreadable event file is reported before any change
    order = order_phases(config, request.phases, request.active)
    order.check_name(request.redo)
    return order


def prepare_run(
    request: Request, order: PhaseOrder, signals: StopSignals
) -> tuple[RunPlan, RunLock]:
    """Take the inventory, claim and repair the run directory, and plan the run.

    Returns the plan and the acquired lock of the directory. Raises `UserError` if the input or the
    directory is not usable, `RunError` if the output cannot be written or assets fail,
    `StoppedError` for a signal while it waits for the lock.
    """
    with UntrustedCalls() as untrusted:
        refuse_other_versions(order.config.run_dir, untrusted, request.fresh)
        return _prepare_run(request, order, untrusted, signals)


def _prepare_run(
    request: Request, order: PhaseOrder, untrusted: UntrustedCalls, signals: StopSignals
) -> tuple[RunPlan, RunLock]:
    config = order.config
    saved = config.run_dir / INVENTORY
    recreate = request.fresh or request.assets_only
    known = None if recreate or request.inventory else load_inventory(saved, config)
    steps = Steps(request.progress)
    inventory = request.inventory or known or _search(request, order, steps)
    events = events_content(config)
    claim_directory(config)
    lock = RunLock(config.run_dir)
    with writing(config.run_dir):
        lock.acquire(lambda: bool(signals.received))
    name_parts_for(lock.owner.tag)
    try:
        with writing(config.run_dir):
            open_for_writing(config, request.fresh)
            keep_events(config.run_dir, events)
            log_file = RankLog(rank_log(config.run_dir, COORDINATOR), config.run.log_batch)
            with closing(log_file), steps.step("checking the run directory"):
                repaired = repair(config, inventory.items, untrusted)
                progress = load_progress(config.run_dir, config.run_id)
                digests = complete_digests(config.run_dir, progress, untrusted)
                kept = {phase.name: kept_files(phase, progress) for phase in order.phases}
                tallies, dropped = drop_stale(config.run_dir, kept, untrusted)
                fold(config.run_dir)  # the samples of an execution that died
            if inventory.items:
                save_left_out(config.run_dir / LEFT_OUT, inventory, config)
            if request.assets_only:
                save_inventory(saved, inventory, config)
        with steps.step("planning"):
            plan = plan_run(
                order,
                inventory,
                retry=request.retry,
                redo=request.redo,
                assets_only=request.assets_only,
                given=request.inventory is not None,
                tallies=tallies,
                known=digests,
            )
        if not plan.items and request.inventory is None:
            take_inventory(config)  # nothing is in the store either: raises, and says what is wrong
        create_assets(order, tuple(plan.items.values()), recreate)
        with writing(config.run_dir):
            pruned = prune(plan) if request.prune else []
    except BaseException:
        lock.release()
        raise
    if inventory.items:
        print_inventory(config, inventory)
    print_what_is_gone(config, len(plan.stored))
    if known is not None:
        print(f"  as listed in {saved}; `spectro-mpi assets` searches again")
    notices = [] if plan.nothing_to_do else plan.notices
    for sentence in [*repaired, *dropped, *notices, *pruned]:
        print(f"  {sentence}")
    return plan, lock


def _search(request: Request, order: PhaseOrder, steps: Steps) -> Inventory:
    """Search the input; empty if it is not there and no active phase needs it.

    Raises `UserError` if the input cannot be used and is needed.
    """
    try:
        with steps.step("looking for items", "files") as found:
            return take_inventory(order.config, found)
    except NoInputError as error:
        has_store = has_data(order.config.run_dir) and not request.fresh
        if has_store and not request.assets_only and order.needs_no_input:
            return Inventory((), ())
        hint = "; `run --only plot` draws from the store, without input" if has_store else ""
        raise NoInputError(f"{error}{hint}") from None
