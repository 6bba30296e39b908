"""What to get from an archive, and getting it: several files at a time, the rest when one fails."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from spectro_mpi.errors import RunError, UserError
from spectro_mpi.fetch.ephemeris import EphemerisNames, locate
from spectro_mpi.fetch.search import ArchivedFile, Search
from spectro_mpi.fetch.transfer import is_whole, transfer
from spectro_mpi.fetch.web import GivenUpError, PassingError, RefusedError, Web
from spectro_mpi.inert import inert
from spectro_mpi.instruments.preset import NamedFile
from spectro_mpi.instruments.presets import preset_of
from spectro_mpi.planning.inventory import cdf_files, selection
from spectro_mpi.settings.archive_layout import Layout
from spectro_mpi.settings.fetch import FetchSettings
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.words import listed

_Key = tuple[str, str, str]
"""Item, instrument and part; files that agree in these are versions of one another."""
_Rank = tuple[tuple[int, ...], datetime]
_LOOK_SECONDS = 0.2
_STOP_SECONDS = 1.0
"""How long transfers may take to notice a stop; a server that stalls keeps them longer."""


@dataclass(frozen=True)
class Wanted:
    """A file to get: the newest version, and older ones in case that it cannot be had whole."""

    versions: tuple[ArchivedFile, ...]
    path: Path
    """Where the newest version goes."""

    def path_of(self, version: ArchivedFile) -> Path:
        """Where a version goes."""
        return self.path.with_name(version.name)

    @property
    def size(self) -> int:
        """About how many bytes the newest version has; 0: the listing does not say."""
        least, most = self.versions[0].size or (0, 0)
        return (least + most) // 2


@dataclass(frozen=True)
class FetchPlan:
    """What there is to get."""

    wanted: tuple[Wanted, ...]
    present: int
    """Selected files of the archive that are here already, in that version or a newer one."""
    problems: tuple[str, ...] = ()
    """What cannot be had, and why, a sentence each."""
    notices: tuple[str, ...] = ()
    """What the user should know, a sentence each."""

    @property
    def size(self) -> int:
        """About how many bytes, as far as the listings say."""
        return sum(wanted.size for wanted in self.wanted)


@dataclass
class Outcome:
    """What was got so far."""

    fetched: int = 0
    bytes: int = 0
    problems: list[str] = field(default_factory=list)
    """What could not be had, and why, a sentence each."""
    is_stopped: bool = False


def archive_of(config: Config) -> tuple[str, Layout]:
    """Address of the archive and its folders, by the settings or the preset.

    Raises `UserError` if neither names one.
    """
    preset, fetch = config.preset, config.fetch
    if not fetch.url and not preset.archive:
        raise UserError(
            f'fetch.url: is needed, since data.preset = "{preset.name}" knows no archive; set it '
            "to the address of the folder with the data"
        )
    return fetch.url or preset.archive, Layout(fetch.folders or preset.folders)


def folder_of(config: Config) -> Path:
    """Where files are put: the first entry of `input`. Raises `UserError` if it has wildcards."""
    if set(config.inputs[0]) & set("*?["):
        raise UserError(
            f'input = "{config.inputs[0]}": fetch puts files into the first entry of `input`, '
            "which must therefore be a folder without wildcards"
        )
    return Path(config.inputs[0])


def plan_fetch(
    config: Config, web: Web, on_listing: Callable[[int, str], None] = lambda count, path: None
) -> FetchPlan:
    """Look what the archive has of what `[select]` selects, and what of it is not here.

    Raises `UserError` if no archive is known or it has nothing of that, `RunError` if its first
    folder cannot be listed, `GivenUpError`.
    """
    url, layout = archive_of(config)
    folder = folder_of(config)
    search = Search(web, layout, preset_of(config), config.select, config.items_are_orbits)
    search.on_listing = on_listing
    is_selected = selection(config)
    versions: dict[_Key, list[ArchivedFile]] = {}
    for file in search.files(url):
        for name in filter(is_selected, file.names):
            versions.setdefault(_key(name), []).append(file)
    if not versions:
        if search.problems:
            raise RunError(f"{url}: nothing could be found: {listed(search.problems, 3, '; ')}")
        raise UserError(
            f"{url}: has no {preset_of(config).files} that [select] lets through; check "
            "select.orbits, select.start, select.stop, fetch.url and fetch.folders"
        )
    starts = _starts(versions)
    located = locate(config, web, starts, on_listing)
    versions |= located.versions
    here = _files_here(config, is_selected)
    wanted: dict[str, Wanted] = {}
    present: set[str] = set()
    notices: list[str] = list(located.notices)
    for key, archived in sorted(versions.items()):
        newest_first = sorted(archived, key=lambda file: file.url)
        newest_first.sort(key=lambda file: _rank(file, key), reverse=True)
        own = here.get(key, {})
        best = _best_whole(own)
        newer = tuple(file for file in newest_first if best is None or _rank(file, key) > best)
        if not newer:
            present.add(newest_first[0].url)
            notices += _differences(newest_first[0], own.get(_rank(newest_first[0], key), []))
        elif newer[0].url not in wanted:
            spoilt = own.get(_rank(newer[0], key), [])
            path = spoilt[0][0] if spoilt else folder.joinpath(*newer[0].folder, newer[0].name)
            wanted[newer[0].url] = Wanted(newer, path)
    missing = _missing(config, versions)
    problems = [*search.problems, *missing]
    return FetchPlan(tuple(wanted.values()), len(present), tuple(problems), tuple(notices))


def gather(
    plan: FetchPlan,
    config: Config,
    web: Web,
    stop: threading.Event,
    on_progress: Callable[[Outcome], bool],
) -> Outcome:
    """Get the files of a plan, `fetch.parallel` at a time; one that fails does not end the others.

    `on_progress` is called a few times a second with what has been done so far; when it returns
    False, the transfers are stopped, to be resumed by the next `fetch`. Raises `UserError` if
    another `fetch` writes to the same folder, and `RunError` if it cannot be written.
    """
    folder = folder_of(config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone_in(folder):
            return _Gathering(plan, config.fetch, web, stop).run(on_progress)
    except OSError as error:
        raise RunError(
            f"{error.filename or folder}: cannot be written: {error.strerror or error}; fix this "
            "and run fetch again to continue"
        ) from error


class _Gathering:
    """Threads that take files from a queue."""

    def __init__(
        self, plan: FetchPlan, settings: FetchSettings, web: Web, stop: threading.Event
    ) -> None:
        self._settings, self._web, self._stop = settings, web, stop
        self._queue: queue.SimpleQueue[Wanted] = queue.SimpleQueue()
        for wanted in plan.wanted:
            self._queue.put(wanted)
        self._lock = threading.Lock()
        self._outcome = Outcome()
        self._trouble: Exception | None = None

    def run(self, on_progress: Callable[[Outcome], bool]) -> Outcome:
        # Daemons: when the program ends, it does not wait for a server that stalls.
        threads = [
            threading.Thread(target=self._take, daemon=True) for _ in range(self._settings.parallel)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            if not on_progress(self._outcome):
                self._stop.set()
                self._outcome.is_stopped = True
                for thread in threads:
                    thread.join(_STOP_SECONDS)
                break
            for thread in threads:
                thread.join(_LOOK_SECONDS / len(threads))
        if self._trouble is not None:
            raise self._trouble
        on_progress(self._outcome)
        return self._outcome

    def _take(self) -> None:
        while not self._stop.is_set():
            try:
                wanted = self._queue.get_nowait()
            except queue.Empty:
                return
            try:
                self._get(wanted)
            except GivenUpError:
                return
            except Exception as error:  # noqa: BLE001 - raised again by `run`
                with self._lock:
                    self._trouble = self._trouble or error
                self._stop.set()

    def _get(self, wanted: Wanted) -> None:
        """Get the newest version that is whole. Raises `GivenUpError`, `OSError`."""
        most = self._settings.max_file_mb * 1_000_000
        failed = []
        for version in wanted.versions:
            path = wanted.path_of(version)
            try:
                transfer(self._web, version.url, path, most, self._count)
            except (RefusedError, PassingError) as error:
                failed.append(f"{version.name}: {error}")
                continue
            with self._lock:
                self._outcome.fetched += 1
                self._outcome.problems += [f"{why}; {version.name} was taken" for why in failed]
            return
        with self._lock:
            self._outcome.problems += failed

    def _count(self, number: int) -> None:
        with self._lock:
            self._outcome.bytes += number


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder. Raises `UserError` if another process has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{folder}: another `spectro-mpi fetch` writes there; wait until it has ended"
            ) from None
        except OSError:
            pass  # some network file systems have no locks
        yield
    finally:
        os.close(descriptor)


def _files_here(
    config: Config, is_selected: Callable[[NamedFile], bool]
) -> dict[_Key, dict[_Rank, list[tuple[Path, int]]]]:
    """The files in `input`, by what they are versions of and by version, with their sizes."""
    preset, ephemeris = preset_of(config), EphemerisNames(config)
    paths = [path for entry in config.inputs for path in (glob.glob(entry) or [entry])]  # noqa: PTH207
    roots = [path for path in paths if Path(path).is_dir()]
    here: dict[_Key, dict[_Rank, list[tuple[Path, int]]]] = {}
    for path, size in sorted(cdf_files(roots)):
        names = [
            *filter(is_selected, preset.names(Path(path).name)),
            *ephemeris.names(Path(path).name),
        ]
        for name in names:
            of_rank = here.setdefault(_key(name), {}).setdefault(_rank_of(name), [])
            of_rank.append((Path(path), size))
    return here


def _best_whole(own: Mapping[_Rank, list[tuple[Path, int]]]) -> _Rank | None:
    """The newest version that is here and whole."""
    for rank in sorted(own, reverse=True):
        if any(is_whole(path) for path, _ in own[rank]):
            return rank
    return None


def _differences(file: ArchivedFile, own: Iterable[tuple[Path, int]]) -> Iterator[str]:
    """A sentence on each whole file here that has another size than the archive's of its name."""
    for path, size in own:
        if file.size and not file.size[0] <= size <= file.size[1] and path.name == file.name:
            yield (
                f"{path}: has {size} bytes, not those of the archive's file of that name; it is "
                "kept (remove it to get the archive's)"
            )


def _missing(config: Config, versions: Iterable[_Key]) -> Iterator[str]:
    """A sentence on each item that `select.orbits` names by itself and the archive does not have.

    In a range, there may be orbits without data.
    """
    have = {item for item, _, _ in versions}
    single = [str(low) for low, high in config.select.orbit_ranges if low == high]
    skipped = {str(item) for item in config.select.skip}
    for item in (*single, *sorted(config.select.names)):
        if item not in have and item not in skipped:
            yield f"{'orbit' if item in single else 'item'} {inert(item)}: not in the archive"


def _starts(versions: Mapping[_Key, Iterable[ArchivedFile]]) -> dict[str, datetime | None]:
    """Item → the earliest start of its data by the names of files; None: they do not have it."""
    starts: dict[str, datetime | None] = {}
    for (item, _, _), files in versions.items():
        names = [name for file in files for name in file.names if name.item == item]
        known = [*(name.start for name in names), starts.get(item)]
        starts[item] = min((start for start in known if start is not None), default=None)
    return starts


def _key(name: NamedFile) -> _Key:
    return name.item, name.instrument, name.part


def _rank(file: ArchivedFile, key: _Key) -> _Rank:
    return next(_rank_of(name) for name in file.names if _key(name) == key)


def _rank_of(name: NamedFile) -> _Rank:
    return name.version, name.start or datetime.min.replace(tzinfo=timezone.utc)
