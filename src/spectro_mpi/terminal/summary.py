"""Print summaries: of the input, of a planned run, of a finished run."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from spectro_mpi.errors import SOME_FAILED, STOPPED
from spectro_mpi.inert import inert
from spectro_mpi.model.items import item_order
from spectro_mpi.phases.order import PhaseOrder
from spectro_mpi.planning.costs import Constants
from spectro_mpi.planning.events import events_copy
from spectro_mpi.planning.inventory import Inventory
from spectro_mpi.planning.simulate import LOSSES, WORTHWHILE, Simulated, efficiency
from spectro_mpi.planning.stacks import imbalance, snake, worker_count
from spectro_mpi.rundir.counts import phase_counts
from spectro_mpi.rundir.layout import PROGRESS
from spectro_mpi.rundir.progress import PHASES, Progress
from spectro_mpi.settings.schema import Config
from spectro_mpi.settings.slips import likely_slips
from spectro_mpi.system.launchers import launched
from spectro_mpi.system.limits import cores_allowed
from spectro_mpi.system.words import count, duration, listed, shortened

IN_VAIN = 1
"""Exit code; see `exit_code`."""

WARNING = "spectro-mpi: warning: "
"""How a line with a warning begins."""

_LISTED = 20
_NODES = 8
"""Names of nodes that the first line of a run lists."""
_FRUITLESS_STOPS = 3
_MUCH_LOST = 0.05
"""Share of the workers' time."""


def warn_of_slips(config: Config) -> None:
    """Print a warning, on standard error, for each setting that is likely a slip."""
    for sentence in likely_slips(config):
        print(f"{WARNING}{inert(sentence)}", file=sys.stderr, flush=True)


def print_ranks(ranks: int, workers: int, nodes: Sequence[str], by_pipes: bool) -> None:
    """Print on how many ranks and where a run is, and what a single rank may have forgotten.

    `by_pipes`: the ranks are processes that were started without a launcher.
    """
    where = f"on {nodes[0]}"
    if len(nodes) > 1:
        where = f"on {len(nodes)} nodes: {listed(nodes, _NODES)}"
    how = " (processes, without mpirun)" if by_pipes and ranks > 1 else ""
    cores = cores_allowed()
    if ranks == 1 and cores > 1 and not by_pipes and launched() is None:
        how = (
            f", without mpirun: 1 of {cores} cores computes; more do with "
            f"`mpirun -n {cores + 2} spectro-mpi …` or `spectro-mpi run -n {cores + 2} …`"
        )
    print(f"{count(ranks, 'rank')}: {count(workers, 'worker')} {where}{how}", flush=True)


def print_inventory(config: Config, inventory: Inventory, verbose: bool = False) -> None:
    """Print how many items and files the input has, and which files are ignored.

    `verbose`: name all of them, and for each the file that is used instead.
    """
    most = sys.maxsize if verbose else _LISTED
    # Several instruments may be of the same file.
    sizes = {file.path: file.size for item in inventory.items for file in item.files}
    print(
        f"{', '.join(config.inputs)}: {count(len(inventory.items), 'item')}, "
        f"{count(len(sizes), 'file')}, {sum(sizes.values()) / 1e6:.1f} MB"
    )
    if inventory.superseded:
        print(
            f"  {count(len(inventory.superseded), 'file')} ignored: a later version exists, or the "
            f"same file twice{'' if verbose else ' (plan -v names them)'}"
        )
    if sizes and config.ephemeris_file and (missing := inventory.without_ephemeris):
        of_all = len(inventory.items)
        which = "no item has" if missing == of_all else f"{missing} of {of_all} items have no"
        what = f"{which} ephemeris ({config.ephemeris_file})"
        names = ", ".join(name.upper() for name in config.plot.ephemeris)
        categories = f"{names and ', '}rows {', '.join(config.directions)}"
        maps = "; they are not in the atlas" if "atlas" in config.phases else ""
        print(f"  {what}: figures without {names}{categories if config.directions else ''}{maps}")
    if inventory.missing:
        ranges = listed(inventory.missing, most)
        print(f"  select.orbits: the input has no files of {ranges}")
    named = inventory.left_out if verbose else inventory.left_out[len(inventory.superseded) :]
    _print((f"ignored: {path}; {why}" for path, why in named), most)
    _print((f"empty file: {path}" for path in inventory.empty_files), most)


def print_what_is_gone(config: Config, stored: int) -> None:
    """Print what is used in place of input that is not there; `stored`: items from the store."""
    if stored:
        print(f"{count(stored, 'item')} without input: drawn from the store")
    if copy := events_copy(config):
        print(f"{config.plot.events} is not there: events as in {copy}")


def print_stacks(inventory: Inventory, ranks: int) -> None:
    """Print how `ranks` MPI ranks would share the items."""
    stacks = snake(inventory.items, worker_count(ranks))
    shares = [stack.percent for stack in stacks]
    print(
        f"{ranks} ranks: {len(stacks)} workers, "
        f"{min(len(s.items) for s in stacks)}-{max(len(s.items) for s in stacks)} items each, "
        f"imbalance {100 * imbalance(stacks):.1f} %"
    )
    for number, stack in enumerate(stacks[:_LISTED]):
        print(
            f"  stack {number}: {count(len(stack.items), 'item')}, {stack.size / 1e6:.1f} MB, "
            f"{stack.percent:.2f} %"
        )
    if len(stacks) > _LISTED:
        print(f"  … and {len(stacks) - _LISTED} more, {min(shares):.2f} to {max(shares):.2f} %")


def print_simulated(simulated: Simulated, alone: Simulated) -> None:
    """Print the simulated times of a run, compared with a run with a single worker."""
    phases = ", ".join(f"{name} {duration(spent)}" for name, spent in simulated.phases.items())
    efficient = f"efficiency {100 * efficiency(alone, simulated):.0f} % of a single worker"
    busy = f"writer {100 * simulated.writer:.0f} %, coordinator {100 * simulated.coordinator:.0f} %"
    print(f"  makespan {duration(simulated.makespan)} ({phases}); {efficient}; {busy} busy")
    if simulated.report:
        print(f"  report {duration(simulated.report)}, made by a job of its own (`submit`)")


def waits_for_commits(simulated: Simulated) -> bool:
    """Whether workers wait so long for commits that another `flush_batch_size` may be better."""
    return simulated.lost["commits"] > _MUCH_LOST


def print_batch(simulated: Simulated, better: Simulated | None = None) -> None:
    """Print what `flush_batch_size` costs; `better`: the run with a batch that costs less."""
    waiting = f"{100 * simulated.lost['commits']:.0f} % of their time"
    sentence = f"  flush_batch_size {simulated.batch}: workers wait {waiting} for commits"
    if better is not None and better.lost["commits"] < simulated.lost["commits"]:
        sentence += f"; {better.batch} would make that {100 * better.lost['commits']:.0f} %"
    print(sentence)


def print_phases(order: PhaseOrder) -> None:
    """Print the phases, if the simulation does not cover all of them."""
    names = tuple(phase.name for phase in order.phases)
    if names != PHASES:
        print(f"phases: {' → '.join(names)}; only {' and '.join(PHASES)} are simulated")


def print_knee(best: Simulated, constants: Constants) -> None:
    """Print how many ranks are worth asking for, and what limits them."""
    print(
        f"worth asking for: up to {best.ranks} ranks, makespan {duration(best.makespan)}; with "
        f"more, efficiency falls below {100 * WORTHWHILE:.0f} % of a single worker"
    )
    print(f"limit beyond {count(best.workers, 'worker')}: {LOSSES[best.limit]}")
    print(
        f"simulated with costs measured on {constants.machine}; "
        f"fsync in the output: {1e3 * constants.fsync:.1f} ms"
    )


def _print(lines: Iterable[str], most: int = _LISTED) -> None:
    """Print the first lines, indented, and how many more there are."""
    for line in shortened(list(lines), most):
        print(f"  {inert(line)}")


def exit_code(progress: Progress, stopped_by: str) -> int:
    """0: all done; 3: some items failed; 75: stopped early on request; 1: stopped early again.

    It is 1 if several executions in a row were stopped before they finished an item.
    """
    if stopped_by:
        return IN_VAIN if progress.fruitless_stops >= _FRUITLESS_STOPS else STOPPED
    return SOME_FAILED if progress.failures else 0


def print_summary(config: Config, progress: Progress, stopped_by: str) -> int:
    """Print how the run ended; returns its exit code."""
    for counted in phase_counts(progress):
        print(f"{counted.phase}: {counted.words}")
    failed = sorted(progress.failures, key=item_order)
    if failed:
        print(
            f"{count(len(failed), 'item')} with failures "
            f"(complete list: {config.run_dir / PROGRESS}):"
        )
    _print(
        f"{item} {failure.instrument} {failure.phase} {failure.reason}: {failure.message}"
        for item in failed
        for failure in progress.failures[item]
    )
    if stopped_by:
        print(f"stopped early ({stopped_by}); run again to continue")
        if exit_code(progress, stopped_by) == IN_VAIN:
            print(
                f"stopped {progress.fruitless_stops} times in a row before an item was finished; "
                "give the job more time"
            )
    print(f"output: {config.run_dir}", flush=True)
    return exit_code(progress, stopped_by)
