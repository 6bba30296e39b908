"""The writer: the only role that writes the reduced data and the state of the run."""

from __future__ import annotations

import errno
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from spectro_mpi.errors import RunError, output_trouble, writing
from spectro_mpi.mpi.messages import (
    Closed,
    Committed,
    Credit,
    EndPhase,
    Forget,
    Lose,
    MadeFrom,
    Message,
    Note,
    Outdated,
    OutdatedNoted,
    PhaseCommitted,
    Result,
    ToWriter,
    Trouble,
    WriterFinish,
    WriteRunWide,
    WriterWaits,
    WriteTallies,
)
from spectro_mpi.mpi.transport import Transport
from spectro_mpi.planning.stacks import CREDIT_OWED_BYTES, hurried_at, window_of
from spectro_mpi.resources.sampling import Sampling
from spectro_mpi.rundir.batch_files import BatchFiles
from spectro_mpi.rundir.digests import FAILED, DigestLog
from spectro_mpi.rundir.journal import Journal
from spectro_mpi.rundir.layout import (
    LOCK,
    data_path,
    path_in_data,
    result_path,
    run_wide_path,
)
from spectro_mpi.rundir.lock import LockWatch
from spectro_mpi.rundir.names import is_shard
from spectro_mpi.rundir.progress import Batch
from spectro_mpi.rundir.sources import SourceLog
from spectro_mpi.rundir.store import write_links
from spectro_mpi.rundir.tallies import write_tallies
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import make_below, sync_directory, write_atomic
from spectro_mpi.system.words import count

log = logging.getLogger(__name__)

_MOST_HELD_BYTES = 64 << 20
"""Most bytes of results to hold; with more, a batch is committed before it is full."""
_TELL_SECONDS = 10.0
"""The coordinator is told of longer waits for the file system."""

T = TypeVar("T")


class Writer:
    """Collects results into batches and commits them: first the data files, then the journal.

    A batch is committed when it is full, when it has waited long enough, and as soon as a worker
    waits, or soon would (`hurried_at`): each worker stops when as many of its finished items as its
    window are not on disk.
    """

    accepts = ToWriter

    def __init__(
        self,
        transport: Transport,
        config: Config,
        run_dir: Path,
        coordinator: int,
        workers: Sequence[int],
        sampling: Sampling | None = None,
        lock: LockWatch | None = None,
    ) -> None:
        """`lock`: the lock of the run, without which nothing is written; None: any will do."""
        self.finished = False
        self._transport = transport
        self._settings = config.run
        self._sampling = sampling or Sampling()
        self._run_dir = run_dir
        self._coordinator = coordinator
        self._lock = lock
        with writing(run_dir):
            self._journal = Journal(run_dir, config.run_id, config.plot.scales)
            self._digests = DigestLog(run_dir)
            self._sources = SourceLog(run_dir)
        self.troubled = False
        """Whether the output could not be written; nothing is written after that."""
        self._batch_size = config.run.batch_size(len(workers))
        many = len(workers)
        self._hurried_at = {
            rank: hurried_at(window_of(place, many, self._batch_size), many)
            for place, rank in enumerate(workers)
        }
        """Worker → how many of its finished items are uncommitted at most before a commit."""
        self._files = BatchFiles(run_dir, self._tell_of_wait, self._batch_size)
        self._phase = ""
        self._batch: dict[str, Result] = {}
        """Item → its result, for the results not committed yet."""
        self._held_bytes = 0
        """Bytes of data in the batch."""
        self._owed: dict[int, Credit] = {}
        """Worker → what of its results is not committed yet."""
        self._batch_began = 0.0
        self._results = 0
        """Number of results received in the phase."""
        self._expected: int | None = None
        """Number of results after which the phase ends; None: not known yet."""
        self._has_data = False
        """Whether data was committed in the phase."""

    @property
    def is_starved(self) -> bool:
        """Whether a phase has begun, in which workers may wait for a commit at any time."""
        return bool(self._results)

    def handle(self, message: Message) -> None:
        """Handle one message. If the output cannot be written, report it to the coordinator."""
        if self.troubled:
            self._handle_broken(message)
            return
        try:
            self._handle(message)
        except (OSError, RunError) as error:
            self._give_up(error)
            if isinstance(message, WriterFinish | Outdated):
                self._handle_broken(message)

    def step(self) -> bool:
        """Commit the batch if it is due; returns whether there was anything to do."""
        if self.troubled or not self._is_due():
            return False
        try:
            self._commit()
            self._end_phase_if_complete()
        except (OSError, RunError) as error:
            self._give_up(error)
        return True

    def close(self) -> None:
        """End the threads; no file is open between messages."""
        self._files.close()

    def _handle(self, message: Message) -> None:
        match message:
            case Result():
                self._add(message)
            case EndPhase():
                self._expected = message.results
                self._end_phase_if_complete()
            case WriteRunWide():
                self._patiently(partial(self._write_run_wide, message))
                self._journal.note_made_from(message.name, message.basis)
            case WriteTallies():
                self._patiently(lambda: write_tallies(self._run_dir, message.kept))
            case MadeFrom():
                self._journal.note_made_from(message.phase, message.digest)
            case Forget():
                self._journal.forget(message.items, message.phases)
                if message.all_parts:
                    self._digests.drop_items(message.items)
            case Outdated():
                if message.items:
                    self._journal.forget(message.items, (message.phase,))
                self._digests.drop(message.parts)
                self._transport.send(self._coordinator, OutdatedNoted())
            case Lose():
                self._journal.lose(message.items)
            case Note():
                self._journal.note(**message.facts)
            case WriterFinish():
                self._files.finish()
                self._patiently(self._journal.close)
                self._digests.close()
                self._sources.close()
                self._transport.send(self._coordinator, Closed())
                self.finished = True
            case _:
                raise TypeError(f"unexpected message for the writer: {message}")

    def _write_run_wide(self, message: WriteRunWide) -> None:
        """Write an artifact of the run, after the files that belong to it."""
        content = json.dumps(message.content, indent=1, sort_keys=True) + "\n"
        files = {result_path(self._run_dir, name): file for name, file in message.files.items()}
        for path, file in files.items():
            make_below(self._run_dir, path.parent)
            write_atomic(path, file)
        write_atomic(run_wide_path(self._run_dir, message.name), content.encode())

    def _add(self, result: Result) -> None:
        """Add a result to the batch."""
        self._phase = result.phase
        if not self._batch:
            self._batch_began = time.monotonic()
        self._batch[result.item] = result
        self._results += 1
        self._held_bytes += result.nbytes
        owed = self._owed.get(result.worker, Credit(0, 0))
        self._owed[result.worker] = Credit(owed.items + 1, owed.nbytes + result.nbytes)

    def _is_due(self) -> bool:
        """Whether the batch is to be committed now."""
        if not self._batch:
            return False
        return (
            len(self._batch) >= self._batch_size
            or self._held_bytes > _MOST_HELD_BYTES
            or self._results == self._expected
            or time.monotonic() - self._batch_began > self._settings.flush_interval_seconds
            or any(map(self._waits, self._owed))
        )

    def _waits(self, worker: int) -> bool:
        """Whether a worker may be waiting for the commit of its results, or soon is."""
        owed = self._owed[worker]
        return owed.items >= self._hurried_at.get(worker, 1) or owed.nbytes > CREDIT_OWED_BYTES

    def _commit(self) -> None:
        """Write the batch to disk, durably: first the data files, then the journal."""
        self._check_lock()
        began = time.monotonic()
        results = list(self._batch.values())
        data = {result.item: result.data for result in results if result.data is not None}
        data_files = {item: each.data_file for item, each in data.items()}
        folders = self._files.write({each.data_file: each.content for each in data.values()})
        self._files.all(
            [
                lambda: self._record_digests(results),
                lambda: self._record_sources(results),
                *(lambda folder=folder: sync_directory(folder) for folder in sorted(folders)),
            ]
        )
        failures = {result.item: result.failures for result in results if result.failures}
        prints = {result.item: result.fingerprint for result in results if result.fingerprint}
        batch = Batch(self._phase, tuple(self._batch), failures, data_files, prints)
        replaced = self._replaced(data_files)
        self._patiently(lambda: self._journal.record(batch))
        for path in replaced:
            path.unlink(missing_ok=True)
        self._patiently(self._journal.fold_if_due)
        self._has_data |= bool(data)
        self._sampling.wrote(self._phase, self._held_bytes, time.monotonic() - began)
        log.info("committed %s of phase %s", count(len(results), "item"), self._phase)
        self._tell(results)
        self._batch, self._held_bytes, self._owed = {}, 0, {}

    def _check_lock(self) -> None:
        """Raise `OSError` or `RunError` if the run has no lock any more, or another one has it."""
        if self._lock is not None:
            self._lock.check_before_writing()
        elif not (self._run_dir / LOCK).exists():
            missing = errno.ENOENT  # the whole run directory may have been removed
            raise FileNotFoundError(missing, os.strerror(missing), str(self._run_dir / LOCK))

    def _replaced(self, data_files: dict[str, str]) -> list[Path]:
        """Files with earlier data of items, where the item has moved to another month since."""
        held = self._journal.state.stores.get(self._phase, {})
        earlier = {item: held[item] for item in data_files if item in held}
        return [
            data_path(self._run_dir, name)
            for item, name in earlier.items()
            if not is_shard(name) and path_in_data(name) != path_in_data(data_files[item])
        ]

    def _record_digests(self, results: Sequence[Result]) -> None:
        """Record the digests of reduced data, and what the parts on disk were made from."""
        data = {
            result.item: (result.data.data_file, result.data.digests)
            for result in results
            if result.data is not None and result.data.digests
        }
        parts = {
            result.item: {
                part: FAILED * bool(result.failures) + digest
                for part, digest in result.parts.items()
            }
            for result in results
            if result.parts
        }
        self._digests.record(data, parts)

    def _record_sources(self, results: Sequence[Result]) -> None:
        """Record which input files reduced data were made from, when and where."""
        sources = {
            result.item: (result.data.data_file, result.data.sources)
            for result in results
            if result.data is not None and result.data.sources
        }
        coverages = {
            result.item: (result.data.data_file, result.data.coverage)
            for result in results
            if result.data is not None and result.data.coverage is not None
        }
        if sources:
            self._sources.record(sources, coverages)

    def _tell(self, results: Sequence[Result]) -> None:
        """Tell the coordinator and the workers what is on disk."""
        data = {result.item: result.data for result in results if result.data is not None}
        committed = Committed(
            {result.item: result.failures for result in results},
            {item: each.data_file for item, each in data.items()},
            {item: each.digests for item, each in data.items() if each.digests},
        )
        self._transport.send(self._coordinator, committed)
        for worker, credit in self._owed.items():
            self._transport.send(worker, credit)

    def _tell_of_wait(self, seconds: float) -> None:
        """Tell the coordinator that the file system takes long, or, with 0, no longer."""
        if self._lock is not None:
            self._lock.beat()  # of two ranks, the writer's has the lock
        if not seconds or seconds >= _TELL_SECONDS:
            self._transport.send(self._coordinator, WriterWaits(seconds))
            self._transport.is_flushed()  # messages are sent only while they are looked at

    def _patiently(self, call: Callable[[], T]) -> T:
        """Make a call that may wait for the file system; the coordinator is told if it does."""
        return self._files.all([call])[0]

    def _end_phase_if_complete(self) -> None:
        """After the last result of the phase, commit, begin to write the links and reply."""
        if self._expected is None or self._results < self._expected:
            return
        if self._batch:
            self._commit()
        if self._has_data:
            stored = dict(self._journal.state.stores[self._phase])
            # Beside the next phase, since all workers wait for it to begin.
            self._files.later(partial(write_links, self._run_dir, stored, self._phase))
        self._transport.send(self._coordinator, PhaseCommitted())
        self._has_data = False
        self._results, self._expected = 0, None

    def _give_up(self, error: OSError | RunError) -> None:
        """Stop writing, and have the coordinator end the run."""
        self.troubled = True
        trouble = error if isinstance(error, RunError) else output_trouble(self._run_dir, error)
        log.error("%s", trouble)
        self._transport.send(self._coordinator, Trouble(str(trouble), trouble.cause))
        if self._expected is not None:
            # The coordinator is already waiting for this reply.
            self._transport.send(self._coordinator, PhaseCommitted())

    def _handle_broken(self, message: Message) -> None:
        """Reply to a message without writing, so that the other roles can finish.

        Workers get no more credit: what they would compute could only be lost. The coordinator ends
        them.
        """
        match message:
            case EndPhase():
                self._transport.send(self._coordinator, PhaseCommitted())
            case Outdated():
                self._transport.send(self._coordinator, OutdatedNoted())
            case WriterFinish():
                self._transport.send(self._coordinator, Closed())
                self.finished = True
