"""The writer: the only role that writes HDF5 and the state of the run."""

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
)
from spectro_mpi.mpi.transport import Transport
from spectro_mpi.planning.stacks import CREDIT_OWED_BYTES
from spectro_mpi.resources.sampling import Sampling
from spectro_mpi.rundir.journal import Journal
from spectro_mpi.rundir.layout import LOCK, next_shard_number, run_wide_path, shard_path
from spectro_mpi.rundir.progress import Batch
from spectro_mpi.rundir.store import write_links, write_shard
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import write_atomic

log = logging.getLogger(__name__)

_MOST_HELD_BYTES = 64 << 20
"""Of results; with more a batch is written before it is full."""


class Writer:
    """Collects results into batches; a batch is committed shard first, then journal."""

    accepts = ToWriter
    is_starved = False  # nobody computes less while it waits

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
            self._keeper = Journal(run_dir, config.run_id, config.plot.scales)
        self._broken = False
        """Whether the output cannot be written: from then on nothing is."""
        self._next_shard = next_shard_number(run_dir)
        self._phase = ""
        self._batch: dict[str, Result] = {}
        """Item → what came of it; of the results not committed yet."""
        self._held_bytes = 0
        """Of their data."""
        self._owed: dict[int, int] = {}
        """Worker → bytes of its results for which it has no credit back yet."""
        self._batch_began = 0.0
        self._results = 0
        self._expected: int | None = None
        self._committed: dict[str, str] = {}

    def handle(self, message: Message) -> None:
        """Take in one message. Where the output cannot be written, the coordinator is told."""
        if self._broken:
            self._pass_over(message)
            return
        try:
            self._handle(message)
        except OSError as error:
            self._give_up(error)
            if isinstance(message, WriterFinish):
                self._pass_over(message)

    def step(self) -> bool:
        """Commit a batch that has waited long enough; whether there was anything to do."""
        due = time.monotonic() - self._batch_began > self._settings.flush_interval_seconds
        if self._broken or not (self._batch and due):
            return False
        try:
            self._commit()
        except OSError as error:
            self._give_up(error)
        return True

    def close(self) -> None:
        """Nothing is open between messages."""

    def _handle(self, message: Message) -> None:
        match message:
            case Result():
                self._take_in(message)
            case EndPhase():
                self._expected = message.results
                self._end_phase_if_complete()
            case WriteRunWide():
                content = json.dumps(message.content, indent=1, sort_keys=True) + "\n"
                write_atomic(run_wide_path(self._run_dir, message.name), content.encode())
                self._keeper.note_made_from(message.name, message.basis)
            case MadeFrom():
                self._keeper.note_made_from(message.phase, message.digest)
            case Forget():
                self._keeper.forget(message.items, message.phases)
            case Lose():
                self._keeper.lose(message.items)
            case Note():
                self._keeper.note(**message.facts)
            case WriterFinish():
                self._keeper.close()
                self._transport.send(self._coordinator, Closed())
                self.finished = True
            case _:
                raise TypeError(f"a writer does not take {message}")

    def _take_in(self, result: Result) -> None:
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
        worker = result.worker
        owed = self._owed.get(worker, 0) + result.nbytes
        if owed >= CREDIT_OWED_BYTES:
            self._transport.send(worker, Credit(owed))
            owed = 0
        self._owed[worker] = owed

    def _commit(self) -> None:
        """Put the batch on disk for good: the shard, then the journal."""
        if not self._batch:
            return
        if not (self._run_dir / LOCK).exists():
            gone = errno.ENOENT  # and with the lock, it may be, all that was finished
            raise FileNotFoundError(gone, os.strerror(gone), str(self._run_dir / LOCK))
        began = time.monotonic()
        results = self._batch.values()
        given = {one.item: one.packed for one in results if one.packed is not None}
        shard = ""
        if given:
            path = shard_path(self._run_dir, self._next_shard)
            write_shard(path, given, self._phase)
            self._next_shard += 1
            shard = path.name
            self._committed |= dict.fromkeys(given, shard)
        failures = {one.item: one.failures for one in results if one.failures}
        prints = {one.item: one.fingerprint for one in results if one.fingerprint}
        items = tuple(self._batch)
        self._keeper.record(Batch(self._phase, items, failures, shard, tuple(given), prints))
        self._keeper.fold_if_due()
        self._sampling.wrote(self._phase, self._held_bytes, time.monotonic() - began)
        log.info("committed %d items of phase %s %s", len(self._batch), self._phase, shard)
        self._batch, self._held_bytes = {}, 0

    def _end_phase_if_complete(self) -> None:
        if self._expected is None or self._results < self._expected:
            return
        self._commit()
        if self._committed:
            write_links(self._run_dir, self._keeper.state.stores[self._phase], self._phase)
        self._transport.send(self._coordinator, PhaseCommitted(self._committed))
        self._committed, self._results, self._expected = {}, 0, None

    def _give_up(self, error: OSError) -> None:
        """Write nothing any more, and have the run end."""
        self._broken = True
        trouble = output_trouble(self._run_dir, error)
        log.error("%s", trouble)
        self._transport.send(self._coordinator, Trouble(str(trouble), trouble.cause))
        if self._expected is not None:
            # The coordinator has asked already, and waits.
            self._transport.send(self._coordinator, PhaseCommitted({}))

    def _pass_over(self, message: Message) -> None:
        """Let the others come to their end, without writing."""
        match message:
            case Result():
                self._give_credit(message)
            case EndPhase():
                self._transport.send(self._coordinator, PhaseCommitted({}))
            case WriterFinish():
                self._transport.send(self._coordinator, Closed())
                self.finished = True
