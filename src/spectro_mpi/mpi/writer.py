"""The writer: the only role that writes the HDF5 store and the state of the run."""

from __future__ import annotations

import errno
import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from spectro_mpi.errors import output_trouble, writing
from spectro_mpi.mpi.messages import (
    Closed,
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
    WriteTallies,
)
from spectro_mpi.mpi.transport import Transport
from spectro_mpi.planning.stacks import CREDIT_OWED_BYTES
from spectro_mpi.resources.sampling import Sampling
from spectro_mpi.rundir.digests import FAILED, DigestLog
from spectro_mpi.rundir.journal import Journal
from spectro_mpi.rundir.layout import LOCK, next_shard_number, run_wide_path, shard_path
from spectro_mpi.rundir.progress import Batch
from spectro_mpi.rundir.store import write_links, write_shard
from spectro_mpi.rundir.tallies import write_tallies
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import write_atomic
from spectro_mpi.system.words import count

if TYPE_CHECKING:
    from spectro_mpi.rundir.packed import Packed

log = logging.getLogger(__name__)

_MOST_HELD_BYTES = 64 << 20
"""Most bytes of results to hold; with more, a batch is committed before it is full."""


class Writer:
    """Collects results into batches and commits them: first to a shard, then to the journal."""

    accepts = ToWriter
    is_starved = False  # workers compute no less while it waits

    def __init__(
        self,
        transport: Transport,
        config: Config,
        run_dir: Path,
        coordinator: int,
        sampling: Sampling | None = None,
    ) -> None:
        self.finished = False
        self._transport = transport
        self._settings = config.run
        self._sampling = sampling or Sampling()
        self._run_dir = run_dir
        self._coordinator = coordinator
        with writing(run_dir):
            self._journal = Journal(run_dir, config.run_id, config.plot.scales)
            self._digests = DigestLog(run_dir)
        self.troubled = False
        """Whether the output could not be written; nothing is written after that."""
        self._next_shard = next_shard_number(run_dir)
        self._phase = ""
        self._batch: dict[str, Result] = {}
        """Item → its result, for the results not committed yet."""
        self._held_bytes = 0
        """Bytes of data in the batch."""
        self._owed: dict[int, int] = {}
        """Worker → bytes of its results for which credit has not been returned yet."""
        self._batch_began = 0.0
        self._results = 0
        """Number of results received in the phase."""
        self._expected: int | None = None
        """Number of results after which the phase ends; None: not known yet."""
        self._committed: dict[str, str] = {}
        """Item → name of its shard, for the items committed in the phase."""
        self._committed_digests: dict[str, Mapping[str, str]] = {}
        """Item → instrument → digest of its data, for the same items."""

    def handle(self, message: Message) -> None:
        """Handle one message. If the output cannot be written, report it to the coordinator."""
        if self.troubled:
            self._handle_broken(message)
            return
        try:
            self._handle(message)
        except OSError as error:
            self._give_up(error)
            if isinstance(message, WriterFinish | Outdated):
                self._handle_broken(message)

    def step(self) -> bool:
        """Commit the batch if it is old enough; returns whether there was anything to do."""
        due = time.monotonic() - self._batch_began > self._settings.flush_interval_seconds
        if self.troubled or not (self._batch and due):
            return False
        try:
            self._commit()
        except OSError as error:
            self._give_up(error)
        return True

    def close(self) -> None:
        """Does nothing: no file is open between messages."""

    def _handle(self, message: Message) -> None:
        match message:
            case Result():
                self._add(message)
            case EndPhase():
                self._expected = message.results
                self._end_phase_if_complete()
            case WriteRunWide():
                content = json.dumps(message.content, indent=1, sort_keys=True) + "\n"
                write_atomic(run_wide_path(self._run_dir, message.name), content.encode())
                self._journal.note_made_from(message.name, message.basis)
            case WriteTallies():
                write_tallies(self._run_dir, message.kept)
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
                self._journal.close()
                self._digests.close()
                self._transport.send(self._coordinator, Closed())
                self.finished = True
            case _:
                raise TypeError(f"unexpected message for the writer: {message}")

    def _add(self, result: Result) -> None:
        """Add a result to the batch, and commit the batch if it is full."""
        self._phase = result.phase
        if not self._batch:
            self._batch_began = time.monotonic()
        self._batch[result.item] = result
        self._results += 1
        self._held_bytes += result.nbytes
        self._give_credit(result)
        is_full = len(self._batch) >= self._settings.flush_batch_size
        if is_full or self._held_bytes > _MOST_HELD_BYTES:
            self._commit()
        self._end_phase_if_complete()

    def _give_credit(self, result: Result) -> None:
        """Return credit to the worker, once the writer owes it enough."""
        worker = result.worker
        owed = self._owed.get(worker, 0) + result.nbytes
        if owed >= CREDIT_OWED_BYTES:
            self._transport.send(worker, Credit(owed))
            owed = 0
        self._owed[worker] = owed

    def _commit(self) -> None:
        """Write the batch to disk, durably: first the shard, then the journal."""
        if not self._batch:
            return
        if not (self._run_dir / LOCK).exists():
            missing = errno.ENOENT  # the whole run directory may have been removed
            raise FileNotFoundError(missing, os.strerror(missing), str(self._run_dir / LOCK))
        began = time.monotonic()
        results = self._batch.values()
        stored = {result.item: result.packed for result in results if result.packed is not None}
        shard = ""
        if stored:
            path = shard_path(self._run_dir, self._next_shard)
            write_shard(path, stored, self._phase)
            self._next_shard += 1
            shard = path.name
            self._committed |= dict.fromkeys(stored, shard)
            self._record_data(shard, stored)
        self._record_parts()
        failures = {result.item: result.failures for result in results if result.failures}
        prints = {result.item: result.fingerprint for result in results if result.fingerprint}
        items = tuple(self._batch)
        self._journal.record(Batch(self._phase, items, failures, shard, tuple(stored), prints))
        self._journal.fold_if_due()
        self._sampling.wrote(self._phase, self._held_bytes, time.monotonic() - began)
        log.info("committed %s of phase %s %s", count(len(items), "item"), self._phase, shard)
        self._batch, self._held_bytes = {}, 0

    def _record_data(self, shard: str, stored: Mapping[str, Packed]) -> None:
        """Record the digests of the reduced data in a shard."""
        digests = {item: packed.digests for item, packed in stored.items() if packed.digests}
        if digests:
            self._digests.record_data(shard, digests)
            self._committed_digests |= digests

    def _record_parts(self) -> None:
        """Record what the parts of the batch, which are on disk, were made from."""
        made = {
            result.item: {
                part: FAILED * bool(result.failures) + digest
                for part, digest in result.parts.items()
            }
            for result in self._batch.values()
            if result.parts
        }
        if made:
            self._digests.record_figures(made)

    def _end_phase_if_complete(self) -> None:
        """After the last result of the phase, commit, write the links and reply."""
        if self._expected is None or self._results < self._expected:
            return
        self._commit()
        if self._committed:
            write_links(self._run_dir, self._journal.state.stores[self._phase], self._phase)
        committed = PhaseCommitted(self._committed, self._committed_digests)
        self._transport.send(self._coordinator, committed)
        self._committed, self._committed_digests = {}, {}
        self._results, self._expected = 0, None

    def _give_up(self, error: OSError) -> None:
        """Stop writing, and have the coordinator end the run."""
        self.troubled = True
        trouble = output_trouble(self._run_dir, error)
        log.error("%s", trouble)
        self._transport.send(self._coordinator, Trouble(str(trouble), trouble.cause))
        if self._expected is not None:
            # The coordinator is already waiting for this reply.
            self._transport.send(self._coordinator, PhaseCommitted({}))

    def _handle_broken(self, message: Message) -> None:
        """Reply to a message without writing, so that the other roles can finish."""
        match message:
            case Result():
                self._give_credit(message)
            case EndPhase():
                self._transport.send(self._coordinator, PhaseCommitted({}))
            case Outdated():
                self._transport.send(self._coordinator, OutdatedNoted())
            case WriterFinish():
                self._transport.send(self._coordinator, Closed())
                self.finished = True
