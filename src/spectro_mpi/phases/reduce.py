"""Phase reduce: an item's CDF files → spectrograms, and what they contribute to the extrema."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from spectro_mpi.activity import doing
from spectro_mpi.config import Config
from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.extrema import WHOLE, tally
from spectro_mpi.instruments.cdf import CdflibReader, CdfReader, PycdfppReader, has_fast_reader
from spectro_mpi.instruments.fast_esa import FastEsaFile
from spectro_mpi.inventory import InputPath
from spectro_mpi.phases import Outcome, Report, Task, Workspace, boundary
from spectro_mpi.reduce import reduce_distribution
from spectro_mpi.spectrogram import Spectrogram
from spectro_mpi.store import DATA, read_item


class ReducePhase:
    """Reads CDF files; for items that are in the store already, the store."""

    def __init__(self, workspace: Workspace) -> None:
        self._config = workspace.config
        self._data = workspace.run_dir / DATA
        # pycdfpp may take the process with it, so it is for a process that may go.
        self._fast = workspace.config.run.isolation == "process" and has_fast_reader()

    def run(self, task: Task, report: Report) -> Outcome:
        """Spectrograms and tallies of the item; of a stored item only its tallies."""
        outcome = Outcome()
        if task.is_restore:
            report("store")
            with boundary(outcome.failures, "reduce", "store"), doing("read"):
                for spectrogram in read_item(self._data / task.shard, task.item.id):
                    with doing("reduce"):
                        outcome.tallies |= tally(spectrogram)
            return outcome
        for file in task.item.files:
            report(file.instrument)
            with boundary(outcome.failures, "reduce", file.instrument):
                spectrogram = self._reduce(file, task.careful)
                with doing("reduce"):
                    outcome.tallies |= tally(spectrogram)
                outcome.spectrograms.append(spectrogram)
        return outcome

    def _reduce(self, file: InputPath, careful: bool) -> Spectrogram:
        """By the fast reader where it may be used; what it cannot read, by cdflib."""
        if self._fast and not careful:
            with contextlib.suppress(InvalidCdfError):
                with doing("read"):
                    reader = PycdfppReader(Path(file.path))
                # It reads whole variables: long files go to cdflib, which reads chunks.
                if reader.records("time_unix") <= self._config.data.chunk_records:
                    return reduce_file(file, reader, self._config)
        with doing("read"):
            careful_reader = CdflibReader(Path(file.path))
        return reduce_file(file, careful_reader, self._config)


def reduce_file(file: InputPath, reader: CdfReader, config: Config) -> Spectrogram:
    """Read and reduce one file, `data.chunk_records` records at a time.

    Raises `InvalidCdfError` where it cannot be read or holds no valid record, `OSError` where it
    cannot be opened.
    """
    quantity, categories = config.data.quantity, config.pitch_angles
    path = reader.path
    with doing("read"):
        source = FastEsaFile(reader, quantity)
    records, channels = source.records, source.energy.shape[1]
    spectrogram = Spectrogram(
        instrument=file.instrument,
        quantity=quantity,
        category=tuple(categories),
        time=np.empty(records),
        time_start=np.empty(records),
        time_end=np.empty(records),
        mode=np.empty(records, np.uint8),
        energy=source.energy,
        values=np.empty((len(categories), records, channels), np.float32),
        source=path.name,
        source_size=file.size,
    )
    for first in range(0, records, config.data.chunk_records):
        rows = slice(first, min(first + config.data.chunk_records, records))
        with doing("read"):
            chunk = source.chunk(rows.start, rows.stop)
        spectrogram.time[rows] = chunk.time
        spectrogram.time_start[rows] = chunk.time_start
        spectrogram.time_end[rows] = chunk.time_end
        spectrogram.mode[rows] = chunk.mode
        with doing("reduce"):
            spectrogram.values[:, rows] = reduce_distribution(chunk, categories, quantity)
        del chunk  # before the next one is read: two would double the memory
    whole = spectrogram.values[spectrogram.category.index(WHOLE)]
    if not (np.isfinite(whole).any(axis=1) & np.isfinite(spectrogram.time)).any():
        raise InvalidCdfError(
            f"{path}: none of its {records} records is valid (fill values, or valid = 0)"
        )
    return spectrogram
