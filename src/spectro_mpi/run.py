"""The run directory: what is in it, what is left to do, and reading it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from spectro_mpi.atomic import DAMAGED, SUFFIX, sync_directory, write_atomic
from spectro_mpi.config import Config, differing_keys, load_config
from spectro_mpi.errors import Failure, RunError, UserError
from spectro_mpi.events import Marks, read_marks
from spectro_mpi.extrema import Limits, given_limits, raw_limits
from spectro_mpi.inventory import Inventory, Item, item_order
from spectro_mpi.live import LIVE
from spectro_mpi.phases import Task
from spectro_mpi.progress import JOURNAL, PHASES, PROGRESS, Progress, load_progress
from spectro_mpi.resources.archive import RESOURCES
from spectro_mpi.resources.lines import FOLDER as RESOURCE_LINES
from spectro_mpi.spectrogram import Spectrogram
from spectro_mpi.store import DATA, LINKS, instruments_of, read_spectrogram, shards_of

CONFIG = "config.toml"
EXTREMA = "extrema.json"
LOGS = "logs"
STOP = "STOP"
JOBS = "jobs"
"""Job scripts and what was submitted; `--fresh` leaves it, for a job may be running from it."""

ASSETS = "assets"
INVENTORY = f"{ASSETS}/inventory.json"

_PRODUCED = (
    PROGRESS,
    JOURNAL,
    EXTREMA,
    DATA,
    LINKS,
    "plots",
    LOGS,
    ASSETS,
    "report",
    RESOURCES,
    RESOURCE_LINES,
    CONFIG,
)
"""What a run makes in its directory, and `--fresh` takes away; the settings last."""

_FREE_TO_CHANGE = (
    "run.",
    "select.orbits",
    "select.skip",
    "select.share",
    "data.chunk_records",
    "report.",
    "slurm.",
    "output",
    "run_id",
)
"""Settings that change nothing that was produced already."""


_UNKNOWN = datetime.min.replace(tzinfo=timezone.utc)
"""Start of an item whose input is not there any more; what is in the store still counts."""


@dataclass
class RunPlan:
    """What one execution has to do."""

    retried: dict[str, tuple[str, ...]]
    """Phase → failed items that are tried again from that phase on."""
    reduce: list[Task]
    """Items to reduce; where extrema must be made anew, finished ones to restore from the store."""
    plots: bool
    """Whether the plot phase is wanted."""
    assets: bool
    """Whether frames are wanted instead of figures."""
    progress: Progress
    """The state before."""
    items: dict[str, Item] = field(default_factory=dict)
    marks: Marks = field(default_factory=dict)

    def tasks_of_store(self) -> list[Task]:
        """A plot task for every item of the store that the inventory knows."""
        return [
            Task("plot", self.items[item], shard, self.progress.failures.get(item, ()))
            for item, shard in self.progress.shards.items()
            if item in self.items
        ]

    def plot_tasks(self) -> list[Task]:
        """What is to be drawn by the state as it is now."""
        drawn = self.progress.settled["plot"]
        return [task for task in self.tasks_of_store() if task.item.id not in drawn]

    def asset_tasks(self) -> list[Task]:
        """Of the items whose figures have the same frames, one each.

        A frame depends on the limits, which are common, and on what stands where: which
        instruments there are, which failed, and how many events are marked.
        """
        first: dict[object, Task] = {}
        for task in self.tasks_of_store():
            files = frozenset(file.instrument for file in task.item.files)
            failed = frozenset((one.instrument, one.reason) for one in task.failures)
            key = (files, failed, len(self.marks.get(task.item.id, ())))
            first.setdefault(key, replace(task, phase="assets"))
        return list(first.values())

    def restore_tasks(self) -> list[Task]:
        """For the tallies of what is in the store, by the state as it is now."""
        return restore_tasks(self.items, self.progress)

    @property
    def nothing_to_do(self) -> bool:
        """Whether all wanted output is on disk."""
        drawn = not self.plots or not self.plot_tasks()
        return not self.retried and not self.reduce and drawn and not self.assets


def prepare(config: Config, fresh: bool) -> None:
    """Make the run directory, or check that its settings fit. Its lock is held.

    Raises `UserError` naming every setting that differs from what was produced already.
    """
    run_dir = config.run_dir
    frozen = run_dir / CONFIG
    if fresh:
        _clear(run_dir)
    if frozen.exists():
        _refuse_changes(config, load_config(frozen))
    content = config.to_toml().encode()
    if not frozen.exists() or frozen.read_bytes() != content:
        write_atomic(frozen, content)


def claim_directory(config: Config) -> None:
    """Make sure the run directory exists and can be written. Raises `UserError`."""
    run_dir = config.run_dir
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        strangers = {path.name for path in run_dir.iterdir()}
    except OSError as error:
        raise UserError(
            f'output = "{config.output}" cannot be written: {error.strerror or error}; '
            "set `output` to a directory of yours"
        ) from None
    known = {*_PRODUCED, STOP, JOBS, LIVE}
    if CONFIG not in strangers and any(
        name not in known and not name.startswith("run.lock") and not name.endswith(SUFFIX)
        for name in strangers
    ):
        raise UserError(
            f"{run_dir} exists and is not a run directory; choose another run_id or output"
        )


def plan_run(
    config: Config, inventory: Inventory, *, retry: bool = False, only: str = ""
) -> RunPlan:
    """Compare the inventory with what is on disk."""
    progress = load_progress(config.run_dir, config.run_id)
    phases = {"": PHASES, "assets": ("reduce",)}.get(only, (only,))
    retried = _failed_by_phase(progress) if retry else {}
    for first, failed in retried.items():
        progress.forget(failed, PHASES[PHASES.index(first) :])
    items = {item.id: item for item in inventory.items}
    reduce: list[Task] = []
    if "reduce" in phases:
        reduce = [
            Task("reduce", item)
            for item in inventory.items
            if item.id not in progress.settled["reduce"]
        ]
    redone = {task.item.id for task in reduce}
    basis = extrema_basis(config, progress.shards, read_extrema(config.run_dir))
    extrema_stale = not (config.run_dir / EXTREMA).exists() or progress.extrema_basis != basis
    if reduce or extrema_stale:
        reduce += [task for task in restore_tasks(items, progress) if task.item.id not in redone]
    if only == "plot" and not progress.shards:
        raise UserError(f"{config.run_dir}: nothing is reduced yet; run without --only plot first")
    marks = marks_of(config)
    return RunPlan(retried, reduce, "plot" in phases, only == "assets", progress, items, marks)


def marks_of(config: Config) -> Marks:
    """The marked events of a run. Raises `SettingsError`."""
    return read_marks(Path(config.plot.events)) if config.plot.events else {}


def restore_tasks(items: Mapping[str, Item], progress: Progress) -> list[Task]:
    """For the tallies of what is in the store; of some of it the input may be gone."""
    return [
        Task("reduce", items.get(item, Item(item, _UNKNOWN, ())), shard)
        for item, shard in progress.shards.items()
    ]


def extrema_basis(config: Config, shards: Mapping[str, str], extrema: Mapping[str, float]) -> str:
    """Digest of what the extrema are made from, settings and items in the store; and of them."""
    content = [
        sorted(extrema.items()),
        config.extrema.max_percentile,
        config.extrema.energy_coverage,
        config.plot.scales,
        sorted(shards.items()),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def extrema_digest(config: Config, extrema: Mapping[str, float]) -> str:
    """Digest of the extrema as far as figures depend on them."""
    if "given_extrema" not in config.plot.limits:
        return "none"
    return hashlib.sha256(json.dumps(extrema, sort_keys=True).encode()).hexdigest()[:16]


def read_extrema(run_dir: Path) -> dict[str, float]:
    """The content of extrema.json; empty if there is none. Raises `RunError` if it is damaged."""
    path = run_dir / EXTREMA
    try:
        extrema: dict[str, float] = json.loads(path.read_bytes())
        if not all(isinstance(value, int | float) for value in extrema.values()):
            raise ValueError("a value is no number")
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError) as error:
        raise RunError(f"{path}: is damaged ({error}); run again to have it made again") from None
    return extrema


class Run:
    """Read access to a run directory, during a run and after it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config: Config = load_config(path / CONFIG)
        self.progress = load_progress(path, self.config.run_id)

    @property
    def items(self) -> list[str]:
        """Ids of the items whose reduced data is in the store, sorted."""
        return sorted(self.progress.shards, key=item_order)

    @property
    def errors(self) -> dict[str, tuple[Failure, ...]]:
        """Item → what could not be done of it."""
        return dict(self.progress.failures)

    @property
    def extrema(self) -> dict[str, float]:
        """The common extrema under their flat keys; empty until they are known."""
        return read_extrema(self.path)

    def completed(self, phase: str) -> list[str]:
        """Ids of the items whose output up to `phase` ("reduce", "plot") is whole, sorted."""
        return self.progress.completed(phase)

    def instruments(self, item: str) -> list[str]:
        """The instruments an item has data of. Raises `KeyError` for an unknown item."""
        return instruments_of(self._shard(item), item)

    def spectrogram(self, item: str, instrument: str) -> Spectrogram:
        """Arrays of one spectrogram. Raises `KeyError` if the run has none."""
        return read_spectrogram(self._shard(item), item, instrument)

    def limits(
        self, item: str, instrument: str, category: str = "all", limits: str = "given_extrema"
    ) -> Limits | None:
        """Axis limits a row is drawn with in the first scale pair; None if there are none."""
        scales = self.config.plot.scales[0]
        if limits == "raw":
            spectrogram = self.spectrogram(item, instrument)
            row = spectrogram.category.index(category)
            return raw_limits(spectrogram, row, scales, self.config.extrema.energy_coverage)
        return given_limits(
            self.extrema,
            self.config.axes,
            instrument,
            category,
            scales,
            self.config.plot.category_limits,
        )

    def _shard(self, item: str) -> Path:
        try:
            return self.path / DATA / self.progress.shards[item]
        except KeyError:
            raise KeyError(f"{self.path}: the store has no item {item}") from None


def open_run(path: Path | str) -> Run:
    """Open a run directory for reading. Raises `UserError` if it is none."""
    path = Path(path)
    if not (path / CONFIG).is_file():
        raise UserError(f"{path}: is not a run directory (it has no {CONFIG})")
    return Run(path)


def _failed_by_phase(progress: Progress) -> dict[str, tuple[str, ...]]:
    """The first phase an item failed in → items."""
    failed: dict[str, list[str]] = {}
    for item, failures in progress.failures.items():
        first = min((one.phase for one in failures), key=PHASES.index)
        failed.setdefault(first, []).append(item)
    return {phase: tuple(items) for phase, items in failed.items()}


def _refuse_changes(config: Config, frozen: Config) -> None:
    free: tuple[str, ...] = _FREE_TO_CHANGE
    try:
        progress = load_progress(config.run_dir, config.run_id)
    except RunError:
        pass  # it will be rebuilt from what is there, which was made with the settings of then
    else:
        if not progress.settled["plot"]:
            free += ("plot.", "axes.", "extrema.")
        if not any(progress.settled.values()) and not shards_of(config.run_dir):
            return
    keys = [key for key in differing_keys(frozen, config) if not key.startswith(free)]
    if keys:
        raise UserError(
            f"{config.run_dir}: was made with other settings of {', '.join(keys)}; "
            "restore them, choose another run_id, or start over with --fresh"
        )


def _clear(run_dir: Path) -> None:
    """Take away what earlier executions made; nothing else."""
    for path in (*run_dir.glob(f"*{DAMAGED}*"), *(run_dir / name for name in _PRODUCED)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    sync_directory(run_dir)
