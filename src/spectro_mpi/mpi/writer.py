"""The writer: the only role that writes the HDF5 store and the state of the run."""

from __future__ import annotations

import errno
import json
import logging
import os
import time
from pathlib import Path

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
from spectro_mpi.rundir.journal import Journal
from spectro_mpi.rundir.layout import LOCK, next_shard_number, run_wide_path, shard_path
from spectro_mpi.rundir.progress import Batch
from spectro_mpi.rundir.store import write_links, write_shard
from spectro_mpi.rundir.tallies import write_tallies
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import write_atomic
from spectro_mpi.system.words import count

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

    def handle(self, message: Message) -> None:
        """Handle one message. If the output cannot be written, report it to the coordinator."""
        if self.troubled:
            self._handle_broken(message)
            return
        try:
            self._handle(message)
        except OSError as error:
            self._give_up(error)
            if isinstance(message, WriterFinish):
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
            case Lose():
                self._journal.lose(message.items)
            case Note():
                self._journal.note(**message.facts)
            case WriterFinish():
                self._journal.close()
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
        failures = {result.item: result.failures for result in results if result.failures}
        prints = {result.item: result.fingerprint for result in results if result.fingerprint}
        items = tuple(self._batch)
        self._journal.record(Batch(self._phase, items, failures, shard, tuple(stored), prints))
        self._journal.fold_if_due()
        self._sampling.wrote(self._phase, self._held_bytes, time.monotonic() - began)
        log.info("committed %s of phase %s %s", count(len(items), "item"), self._phase, shard)
        self._batch, self._held_bytes = {}, 0

    def _end_phase_if_complete(self) -> None:
        """After the last result of the phase, commit, write the links and reply."""
        if self._expected is None or self._results < self._expected:
            return
        self._commit()
        if self._committed:
            write_links(self._run_dir, self._journal.state.stores[self._phase], self._phase)
        self._transport.send(self._coordinator, PhaseCommitted(self._committed))
        self._committed, self._results, self._expected = {}, 0, None

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
            case WriterFinish():
                self._transport.send(self._coordinator, Closed())
                self.finished = True
