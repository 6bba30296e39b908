"""Phase reduce: an item's CDF files → spectrograms, and what they contribute to the extrema."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from spectro_mpi.activity import doing
from spectro_mpi.config import Config
from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.extrema import WHOLE, tally
from spectro_mpi.instruments import InputFile
from spectro_mpi.instruments.cdf import CdflibReader, CdfReader, PycdfppReader, has_fast_reader
from spectro_mpi.instruments.energy_tables import narrowest
from spectro_mpi.instruments.presets import open_input
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
                    source = open_input(file.instrument, reader, self._config)
                # It reads whole variables: long files go to cdflib, which reads chunks.
                if source.records <= _chunk_records(source, self._config):
                    return _reduce_source(file, source, self._config)
        with doing("read"):
            careful_reader = CdflibReader(Path(file.path))
        return reduce_file(file, careful_reader, self._config)


def reduce_file(file: InputPath, reader: CdfReader, config: Config) -> Spectrogram:
    """Read and reduce one file, `data.chunk_records` records at a time.

    Raises `InvalidCdfError` where it cannot be read or holds no valid record, `OSError` where it
    cannot be opened.
    """
    with doing("read"):
        source = open_input(file.instrument, reader, config)
    return _reduce_source(file, source, config)


def _reduce_source(file: InputPath, source: InputFile, config: Config) -> Spectrogram:
    categories, records = source.categories, source.records
    time, time_start, time_end = np.empty(records), np.empty(records), np.empty(records)
    mode = np.empty(records, np.uint32)
    values = np.empty((len(categories), records, source.channels), np.float32)
    step = _chunk_records(source, config)
    for first in range(0, records, step):
        rows = slice(first, min(first + step, records))
        with doing("read"):
            chunk = source.chunk(rows.start, rows.stop)
        time[rows], time_start[rows], time_end[rows] = chunk.time, chunk.time_start, chunk.time_end
        mode[rows] = chunk.mode
        with doing("reduce"):
            values[:, rows] = reduce_distribution(chunk, categories, source.combine)
        del chunk  # before the next one is read: two would double the memory
    whole = values[list(categories).index(WHOLE)]
    if not (np.isfinite(whole).any(axis=1) & np.isfinite(time)).any():
        raise InvalidCdfError(
            f"{file.path}: none of its {records} records is valid (fill values, or valid = 0)"
        )
    return Spectrogram(
        instrument=file.instrument,
        quantity=source.quantity,
        category=tuple(categories),
        time=time,
        time_start=time_start,
        time_end=time_end,
        mode=narrowest(mode),
        energy=source.energy,
        values=values,
        source=Path(file.path).name,
        source_size=file.size,
        legend=source.legend,
    )


def _chunk_records(source: InputFile, config: Config) -> int:
    return min(config.data.chunk_records, source.most_records)
