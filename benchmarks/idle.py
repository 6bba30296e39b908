"""A start with nothing to do, in a finished run of many items: CPU of all its processes.

Usage: python benchmarks/idle.py [--items 51000] [--runs 3] [--json] [--data FOLDER]

Eight items (those of increment.py) are reduced and drawn. All others are links to the input, data
and figures of these, and are recorded as a run would record them: the first start with `--items`
items must have nothing to do. `--data` keeps the run there, and uses it again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

from common import Row, benchmark
from increment import CONTENTS, SETTINGS, add, run_once, write_contents
from whole import CONFIG, Whole

from spectro_mpi.demo.orbits import FIRST_ORBIT
from spectro_mpi.model.items import Item
from spectro_mpi.phases.contributions import kept_files
from spectro_mpi.phases.interface import MergingPhase, PartwisePhase
from spectro_mpi.phases.order import PhaseOrder, order_phases
from spectro_mpi.planning.inventory import take_inventory
from spectro_mpi.planning.todo import RunPlan, plan_run
from spectro_mpi.rundir.digests import DigestLog
from spectro_mpi.rundir.journal import Journal
from spectro_mpi.rundir.layout import PAGE, data_file_of, data_path, item_folder
from spectro_mpi.rundir.names import stamp_of
from spectro_mpi.rundir.progress import Batch
from spectro_mpi.rundir.sources import SourceLog, read_sources
from spectro_mpi.rundir.store import write_links
from spectro_mpi.rundir.tallies import KeptGroup, KeptPhase, read_tallies, write_tallies
from spectro_mpi.settings.loading import load_config

_AT_MOST_SECONDS = 6.0
_ITEMS_OF_GOAL = 51_000


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Return CPU seconds, and ms an item beyond those of a run of eight items."""
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-idle-") as name:
        folder = arguments.data or Path(name)
        few, many = folder / "few", folder / "many"
        for place, items in ((few, CONTENTS), (many, arguments.items)):
            if not place.exists():
                make_run(place, items)
        taken = {place: list[float]() for place in (few, many)}
        for _ in range(arguments.runs):
            for place, seconds in taken.items():
                seconds.append(_idle(place).cpu)
    start, idle = (statistics.median(taken[place]) for place in (few, many))
    goal = 1 if arguments.items == _ITEMS_OF_GOAL else None
    each = 1e3 * (idle - start) / (arguments.items - CONTENTS)
    limit = 1e3 * _AT_MOST_SECONDS / _ITEMS_OF_GOAL
    return [
        Row(f"{arguments.items} items", "s", idle, _AT_MOST_SECONDS, "limit", at_least=goal),
        Row(f"{CONTENTS} items", "s", start, _AT_MOST_SECONDS, "limit"),
        Row("an item", "ms", each, limit, "limit"),
    ]


def make_run(folder: Path, items: int) -> None:
    """Make a finished run of so many items. Raises `RuntimeError` if anything is left to do."""
    (folder / "FAST_data").mkdir(parents=True)
    (folder / CONFIG).write_text(SETTINGS)
    contents = write_contents(folder / "contents")
    for number in range(CONTENTS):
        add(folder, contents, number)
    run_once(folder, report=True)
    if items > CONTENTS:
        for number in range(CONTENTS, items):
            add(folder, contents, number)
        _record(order_phases(load_config(folder / CONFIG)))
    _idle(folder)  # folds the journal


def _idle(folder: Path) -> Whole:
    """A start with nothing to do. Raises `RuntimeError` if it does anything."""
    page = load_config(folder / CONFIG).run_dir / PAGE
    before = page.stat().st_mtime_ns
    done = run_once(folder, report=True)
    if page.stat().st_mtime_ns != before:
        raise RuntimeError(f"there was something to do:\n{done.out}")
    return done


def _record(order: PhaseOrder) -> None:
    """Record all items of the input as reduced and drawn, with links to what the eight have."""
    config = order.config
    run_dir = config.run_dir
    plan = plan_run(order, take_inventory(config))
    sources = read_sources(run_dir, plan.progress.data_files)
    journal, log = Journal(run_dir, config.run_id, config.plot.scales), SourceLog(run_dir)
    digests = DigestLog(run_dir)
    reduce, plot = order.phases
    assert isinstance(reduce, MergingPhase)
    assert isinstance(plot, PartwisePhase)
    new = [item for item in plan.items.values() if item.id not in plan.progress.data_files]
    data_files = {item.id: _link(plan, item) for item in new}
    ids = tuple(data_files)
    prints = {item.id: reduce.fingerprint(item, {}) for item in new}
    journal.record(Batch("reduce", ids, {}, data_files, prints))
    journal.record(Batch("plot", ids, {}))
    log.record({item: (name, sources[_model(item)]) for item, name in data_files.items()})
    of_figures = plot.part_digests(plan.run_wide, {})
    data = {item: (name, plan.known.data[_model(item)][1]) for item, name in data_files.items()}
    figures = {item.id: of_figures(item, data[item.id][1], ()) for item in new}
    digests.record(data, figures)
    digests.fold()
    total = len(plan.items)
    journal.note(items_total=total, totals=dict.fromkeys(("reduce", "plot"), total))
    _keep_tallies(run_dir, reduce.kept_groups, kept_files(reduce, journal.state))
    plan.progress = journal.state
    content = plan.run_wide["extrema"]
    journal.note_made_from("extrema", plan.basis(reduce, content))
    write_links(run_dir, journal.state.data_files)
    journal.close()


def _model(item_id: str) -> str:
    """The item that was reduced and drawn, of which this one has links."""
    return str(FIRST_ORBIT + (int(item_id) - FIRST_ORBIT) % CONTENTS)


def _link(plan: RunPlan, item: Item) -> str:
    """Link the data and the figures of an item; returns the name of its data file."""
    run_dir, model = plan.order.config.run_dir, plan.items[_model(item.id)]
    held = plan.progress.data_files[model.id]
    data_file = data_file_of("reduce", item, stamp_of(held))
    path, folder = data_path(run_dir, data_file), item_folder(run_dir, "plot", item)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True)
    os.link(data_path(run_dir, held), path)
    for figure in item_folder(run_dir, "plot", model).iterdir():
        os.link(figure, folder / figure.name.replace(model.id, item.id, 1))
    return data_file


def _keep_tallies(run_dir: Path, groups: int, files: dict[str, str]) -> None:
    """Keep the items in so many groups, with the contributions of the first items."""
    kept = read_tallies(run_dir)["reduce"]
    contents, names = kept.groups[0].arrays, sorted(files)
    parts = (names[place::groups] for place in range(groups))
    filled = tuple(KeptGroup({item: files[item] for item in part}, contents) for part in parts)
    write_tallies(run_dir, {"reduce": KeptPhase(kept.version, filled)})


if __name__ == "__main__":
    benchmark(__doc__, measure, runs=3, items=_ITEMS_OF_GOAL)
