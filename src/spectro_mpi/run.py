"""The run directory: what is in it, what is left to do, and reading it."""

from __future__ import annotations

import glob
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectro_mpi.artifacts import Dataset
from spectro_mpi.atomic import DAMAGED, SUFFIX, sync_directory, write_atomic
from spectro_mpi.config import Config, differing_keys, load_config
from spectro_mpi.errors import Failure, RunError, UserError
from spectro_mpi.events import Marks, read_marks
from spectro_mpi.extrema import Limits, given_limits, raw_limits
from spectro_mpi.files import ASSETS, FILES, PLOTS
from spectro_mpi.inventory import item_order
from spectro_mpi.live import LIVE
from spectro_mpi.progress import JOURNAL, PHASES, PROGRESS, Progress, load_progress
from spectro_mpi.report.places import REPORT
from spectro_mpi.resources.archive import RESOURCES
from spectro_mpi.resources.lines import FOLDER as RESOURCE_LINES
from spectro_mpi.spectrogram import Spectrogram
from spectro_mpi.store import (
    DATA,
    LINKS,
    instruments_of,
    read_datasets,
    read_spectrogram,
    shards_of,
)

if TYPE_CHECKING:
    import xarray

CONFIG = "config.toml"
EXTREMA = "extrema.json"
LOGS = "logs"
STOP = "STOP"
JOBS = "jobs"
"""Job scripts and what was submitted; `--fresh` leaves it, for a job may be running from it."""

INVENTORY = f"{ASSETS}/inventory.json"

_PRODUCED = (
    PROGRESS,
    JOURNAL,
    EXTREMA,
    DATA,
    LINKS,
    PLOTS,
    FILES,
    LOGS,
    ASSETS,
    REPORT,
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
    "phases",
)
"""Settings that change nothing that was produced already."""


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


def marks_of(config: Config) -> Marks:
    """The marked events of a run. Raises `SettingsError`."""
    return read_marks(Path(config.plot.events)) if config.plot.events else {}


def read_run_wide(path: Path) -> dict[str, Any]:
    """An artifact of the run; empty if there is none. Raises `RunError` if it is damaged."""
    try:
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict):
            raise ValueError("it is no table")
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise _damaged(path, error) from None
    return content


def read_extrema(run_dir: Path) -> dict[str, float]:
    """The content of extrema.json; empty if there is none. Raises `RunError` if it is damaged."""
    extrema = read_run_wide(run_dir / EXTREMA)
    if not all(isinstance(value, int | float) for value in extrema.values()):
        raise _damaged(run_dir / EXTREMA, "a value is no number")
    return extrema


def _damaged(path: Path, why: object) -> RunError:
    return RunError(f"{path}: is damaged ({why}); run again to have it made again")


class Run:
    """Read access to a run directory, during a run and after it.

    It knows what was finished when it was opened; `refresh` looks again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = settings_of(path)
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

    def xarray(self, item: str, instrument: str) -> xarray.Dataset:
        """One spectrogram, and what own phases gave for that instrument, as `xarray.Dataset`.

        Raises `KeyError` if the run has none, `UserError` where xarray is not installed.
        """
        from spectro_mpi.labelled import as_xarray

        return as_xarray(self.spectrogram(item, instrument), self.datasets(item, instrument))

    def datasets(self, item: str, group: str) -> list[Dataset]:
        """What phases of one's own gave in a group of an item."""
        found: list[Dataset] = []
        for phase, held in self.progress.stores.items():
            if phase != "reduce" and item in held:
                shard = self.path / DATA / held[item]
                if group in instruments_of(shard, item):
                    found += read_datasets(shard, item, group).datasets.values()
        return found

    def dataset(self, name: str, item: str, group: str) -> Dataset:
        """A dataset that a phase of one's own gave. Raises `KeyError` if the run has none."""
        for one in self.datasets(item, group):
            if one.name == name:
                return one
        raise KeyError(f"{self.path}: no phase gave a dataset {name} of item {item}, {group}")

    def figures(self, item: str) -> list[Path]:
        """The figures of an item that are on disk, sorted by name."""
        return sorted((self.path / PLOTS).glob(f"*/*/{glob.escape(item)}/*.png"))

    def refresh(self) -> None:
        """Look again how far the run is."""
        self.progress = load_progress(self.path, self.config.run_id)

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
    return Run(Path(path))


def settings_of(run_dir: Path) -> Config:
    """The settings a run was started with. Raises `UserError` if `run_dir` is no run directory."""
    if not (run_dir / CONFIG).is_file():
        raise UserError(f"{run_dir}: is not a run directory (it has no {CONFIG})")
    return load_config(run_dir / CONFIG)


def _refuse_changes(config: Config, frozen: Config) -> None:
    free: tuple[str, ...] = _FREE_TO_CHANGE
    try:
        progress = load_progress(config.run_dir, config.run_id)
    except RunError:
        pass  # it will be rebuilt from what is there, which was made with the settings of then
    else:
        if not progress.settled["plot"]:
            free += ("plot.", "axes.", "extrema.")
        if not _begun(progress) - set(PHASES):
            free += ("seed",)
        free += tuple(
            f"phase.{name}." for name in {*frozen.phase, *config.phase} - _begun(progress)
        )
        if not any(progress.settled.values()) and not shards_of(config.run_dir):
            return
    keys = [key for key in differing_keys(frozen, config) if not key.startswith(free)]
    if keys:
        raise UserError(
            f"{config.run_dir}: was made with other settings of {', '.join(keys)}; "
            "restore them, choose another run_id, or start over with --fresh"
        )


def _begun(progress: Progress) -> set[str]:
    """The phases that anything came of."""
    return {phase for phase, items in progress.settled.items() if items}


def _clear(run_dir: Path) -> None:
    """Take away what earlier executions made; nothing else."""
    for path in (*run_dir.glob(f"*{DAMAGED}*"), *(run_dir / name for name in _PRODUCED)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    sync_directory(run_dir)
