"""The costs of what rank 0 and the writer do while all workers wait; for constants.py."""

from __future__ import annotations

import sys
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from item_costs import Measured, timed
from whole import CONFIG, run_process, with_copies

from spectro_mpi.mpi.first_rank import prepare_run
from spectro_mpi.mpi.request import Request
from spectro_mpi.phases.order import order_phases
from spectro_mpi.planning.inventory import take_inventory
from spectro_mpi.resources import fold
from spectro_mpi.resources.sampler import Sampler
from spectro_mpi.resources.sampling import Ending, Station
from spectro_mpi.settings.loading import load_config
from spectro_mpi.system.latency import fsync_seconds
from spectro_mpi.system.signals import StopSignals

_COPIES = 20
"""Times the items of the demo."""
_TINY = (
    "plot.dpi=40",
    "plot.panel_size=[4, 1]",
    'plot.limits=["raw"]',
    'plot.kinds=["pitch-angle"]',
    'plot.events=""',
    'select.instruments=["ees"]',
)
"""Settings of figures that cost little."""
_ROWS = 2000


def around(folder: Path) -> Measured:
    """Measure the costs of an item before the workers begin, and of the report."""
    larger = with_copies(folder, _COPIES)
    few, many = _before(folder), _before(larger)
    items = many["items"] - few["items"]
    costs = {name: (many[name] - few[name]) / items for name in ("inventory_item", "plan_item")}
    small, large = _report(folder), _report(larger)
    costs["report_item"] = max(0.0, (large - small) / items)
    costs["report"] = max(0.0, small - costs["report_item"] * few["items"])
    return {**costs, "fold_row": _fold_row(), "fsync": _fsync(folder)}


def _before(folder: Path) -> dict[str, float]:
    """CPU seconds to find the items of a new run, and to check and plan them; their number."""
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-before-", dir=folder) as output:
        config = load_config(folder / CONFIG, (f'output="{output}"', *_TINY))
        found = timed(take_inventory, config)
        order = order_phases(config)

        def prepare() -> None:
            with redirect_stdout(StringIO()), StopSignals() as signals:
                plan, lock = prepare_run(Request(), order, signals)
                for phase in order.phases:
                    plan.tasks(phase)
                lock.release()

        prepared = timed(prepare)
        items = len(take_inventory(config).items)
    return {"inventory_item": found, "plan_item": prepared - found, "items": items}


def _report(folder: Path) -> float:
    """CPU seconds of the report of a run with small figures."""
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-report-", dir=folder) as output:
        settings = (f'output="{output}"', *_TINY, "report.at_end=false", 'run.isolation="none"')
        options = [part for setting in settings for part in ("-s", setting)]
        command = [sys.executable, "-m", "spectro_mpi"]
        run_process([*command, "run", str(folder / CONFIG), "--no-progress", *options])
        run_dir = load_config(folder / CONFIG, settings).run_dir
        return run_process([*command, "report", "--no-previews", "--quiet", str(run_dir)]).cpu


def _fold_row() -> float:
    """CPU seconds to fold one more row of the samples."""
    took = []
    for rows in (0, _ROWS):
        with tempfile.TemporaryDirectory(prefix="spectro-mpi-fold-") as name:
            sampler = Sampler(Path(name), Station(1, 3, "worker", True), 1000.0)
            for number in range(rows):
                sampler.done("reduce", str(number), 1 << 20, 0.1, 0, ())
            sampler.close(Ending())
            took.append(timed(fold, Path(name)))
    return max(0.0, took[1] - took[0]) / _ROWS


def _fsync(folder: Path) -> float:
    seconds = fsync_seconds(folder)
    assert seconds is not None
    return seconds
