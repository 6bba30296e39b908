"""The reduce phase: reduces an item's CDF files to spectrograms and tallies for the extrema."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import InvalidCdfError, NoRecordsError
from spectro_mpi.instruments import InputFile
from spectro_mpi.instruments.cdf import CdflibReader, CdfReader, PycdfppReader, loads_fast_reader
from spectro_mpi.instruments.presets import preset_of
from spectro_mpi.instruments.units import is_count
from spectro_mpi.model.angles import angles_of, reduce_angles
from spectro_mpi.model.artifacts import Artifact
from spectro_mpi.model.averages import averaged
from spectro_mpi.model.distribution import Combine, Distribution
from spectro_mpi.model.ephemeris import Ephemeris
from spectro_mpi.model.extrema import WHOLE, flat_extrema
from spectro_mpi.model.intervals import padded
from spectro_mpi.model.items import InputPath, Item
from spectro_mpi.model.joined import join_spectrograms
from spectro_mpi.model.marks import Marks
from spectro_mpi.model.moment_sums import (
    MomentPlan,
    MomentSums,
    empty_sums,
    moment_sums,
    put,
)
from spectro_mpi.model.moments import moments_of, plan_for
from spectro_mpi.model.pitch_angles import reduce_distribution
from spectro_mpi.model.series import all_series
from spectro_mpi.model.spectrogram import Spectrogram, narrowest
from spectro_mpi.model.tally import Tallies, merge_tallies, tally, tally_series
from spectro_mpi.model.tally_arrays import TALLY_VERSION, arrays_of, tallies_from
from spectro_mpi.phases.context import Context, Inputs
from spectro_mpi.phases.interface import MergingPhase, Outputs
from spectro_mpi.phases.item_ephemeris import ephemeris_of, with_directions, with_ephemeris
from spectro_mpi.phases.provenance import bins_of, provenance_of
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.activity import doing

EXTREMA = Artifact("extrema", extension=".json", of="run", long_name="Common axis limits")


class ReducePhase(MergingPhase[Tallies]):
    """Reduces the CDF files of an item to spectrograms, and merges tallies into the extrema."""

    name = "reduce"
    kept_version = TALLY_VERSION

    @property
    def gives(self) -> tuple[Artifact, ...]:  # type: ignore[override]
        """Spectrograms of the quantity in the settings, and the extrema of the whole run."""
        dims = ("category", "record", "channel")
        quantity = preset_of(self.config).quantity
        return (
            Artifact(
                "spectrograms", "", quantity.dataset, dims, quantity.units, quantity.long_name
            ),
            EXTREMA,
        )

    def run(self, item: Item, inputs: Inputs, context: Context) -> Outputs:
        """Reduce the files of each instrument to a spectrogram, and tally its values.

        A file that fails is recorded as a failure of its instrument only; what its other files
        hold is reduced all the same.
        """
        tallies: Tallies = {}
        outputs = Outputs(partial=tallies)
        # pycdfpp may crash, so it is used only in a process whose death costs one item.
        isolated = self.config.run.isolation == "process"
        fast = isolated and loads_fast_reader() and not context.careful
        context.status("ephemeris")
        ephemeris, notes = ephemeris_of(item.ephemeris, self.config, fast)
        for note in notes:
            context.log.warning("item %s: %s", item.id, note)
        for instrument, files in item.by_instrument.items():
            context.status(instrument)
            parts: list[Spectrogram] = []
            for file in files:
                with context.boundary(instrument):
                    parts.append(self._reduce_best(file, fast, context, ephemeris))
            if parts:
                with context.boundary(instrument), doing("reduce"):
                    spectrogram = at_cadence(join_spectrograms(parts), self.config)
                    spectrogram = with_moments(with_ephemeris(spectrogram, ephemeris))
                    spectrogram = replace(spectrogram, notes=(*spectrogram.notes, *notes))
                    tallies |= _tallies_of(spectrogram)
                    outputs.groups.append(spectrogram)
        return outputs

    def restore(self, item: Item, inputs: Inputs, context: Context) -> Tallies:
        """Tally the item's spectrograms in the store."""
        context.status("store")
        tallies: Tallies = {}
        for spectrogram in inputs["spectrograms"].values():
            with doing("reduce"):
                tallies |= _tallies_of(spectrogram)
        return tallies

    def fingerprint(self, item: Item, marks: Marks) -> str:
        """The names (as digests) and sizes of the item's files."""
        return " ".join(_word(file) for file in (*item.files, *item.ephemeris))

    def is_outdated(self, before: str, now: str) -> bool:
        """Whether a file is new or has grown.

        If a file is missing or has shrunk, the item's results are kept.
        """
        if before == now:
            return False
        known = dict(word.split(":") for word in before.split())
        return bool(known) and any(
            int(size) > int(known.get(name, -1))
            for name, size in (word.split(":") for word in now.split())
        )

    def empty(self) -> Tallies:
        """Empty tallies."""
        return {}

    def merge(self, into: Tallies, other: Tallies) -> Tallies:
        """Add tallies. They are whole numbers, so the result does not depend on the order."""
        merge_tallies(into, other)
        return into

    def conclude(self, whole: Tallies) -> dict[str, float]:
        """The content of extrema.json."""
        for (instrument, _), counts in whole.items():
            y_scale, z_scale = self._scales_set.get(instrument, ("", ""))
            counts.y_scale, counts.z_scale = y_scale or counts.y_scale, z_scale or counts.z_scale
        return flat_extrema(whole, self.config.plot.scales, self.config.extrema)

    def arrays_of(self, whole: Tallies) -> dict[str, NDArray[Any]]:
        """Tallies as arrays (`model/tally_arrays.py`)."""
        return arrays_of(whole)

    def contribution_from(self, arrays: Mapping[str, NDArray[Any]]) -> Tallies:
        """The tallies of such arrays."""
        return tallies_from(arrays)

    def basis(self) -> list[object]:
        """The settings that the extrema depend on."""
        settings = self.config.extrema
        return [
            settings.max_percentile,
            settings.min_percentile,
            settings.energy_coverage,
            self.config.plot.scales,
            self._scales_set,
        ]

    @property
    def _scales_set(self) -> dict[str, tuple[str, str]]:
        """Instrument → the scales that its `[[instrument]]` table sets; empty: it does not."""
        tables = self.config.instrument
        return {table.name: (table.y_scale, table.z_scale) for table in tables}

    def _reduce_best(
        self, file: InputPath, fast: bool, context: Context, ephemeris: Ephemeris | None
    ) -> Spectrogram:
        """Reduce a file or, if it cannot be read, the best of its earlier versions.

        Raises what is wrong with the file itself if none can be read.
        """
        try:
            return reduce_with(file, self.config, fast, ephemeris)
        except (InvalidCdfError, OSError) as error:
            for older in file.older:
                with contextlib.suppress(InvalidCdfError, OSError):
                    spectrogram = reduce_with(older, self.config, fast, ephemeris)
                    drawn, unread = _told_apart(Path(older.path), Path(file.path))
                    note = f"{drawn} is drawn, since {unread} cannot be read"
                    context.log.warning("item %s: %s: %s", context.item.id, note, error)
                    return replace(spectrogram, notes=(*spectrogram.notes, note))
            raise


def with_moments(spectrogram: Spectrogram) -> Spectrogram:
    """A spectrogram with the moments that follow from its sums and its ephemeris, if it has any."""
    sums = spectrogram.sums
    if sums is None:
        return spectrogram
    moments = moments_of(sums, spectrogram.time, spectrogram.ephemeris)
    return replace(spectrogram, sums=None, moments=moments)


def _tallies_of(spectrogram: Spectrogram) -> Tallies:
    """The tallies of a spectrogram, of its pitch-angle spectrograms and of its moments."""
    tallies = tally(spectrogram)
    if spectrogram.by_angle is not None:
        tallies |= tally(spectrogram.by_angle)
    for series in all_series(spectrogram):
        tallies |= tally_series(series)
    return tallies


def _told_apart(one: Path, other: Path) -> tuple[str, str]:
    """The names of two files, with as many of their folders as tell them apart."""
    most = max(len(one.parts), len(other.parts))
    for parts in range(1, most):
        names = ("/".join(one.parts[-parts:]), "/".join(other.parts[-parts:]))
        if names[0] != names[1]:
            return names
    return str(one), str(other)


def _word(file: InputPath) -> str:
    """The part of a fingerprint for one file: "DIGEST:BYTES"."""
    name = os.path.basename(file.path)  # noqa: PTH119 - called for 200,000 files
    return f"{zlib.crc32(os.fsencode(f'{file.instrument} {name}')):08x}:{file.size}"


def reduce_with(
    file: InputPath, config: Config, fast: bool, ephemeris: Ephemeris | None = None
) -> Spectrogram:
    """Reduce a file, with pycdfpp if `fast` and it can read the file, else with cdflib.

    Raises as `reduce_file`.
    """
    if fast:
        with contextlib.suppress(InvalidCdfError):
            with doing("read"):
                reader = PycdfppReader(Path(file.path))
                source = preset_of(config).open(file.instrument, reader)
            # pycdfpp reads whole variables; cdflib reads long files in chunks.
            if source.records <= _chunk_records(source, config):
                return reduce_source(file, source, config, ephemeris)
    with doing("read"):
        cdflib_reader = CdflibReader(Path(file.path))
    return reduce_file(file, cdflib_reader, config, ephemeris)


def reduce_file(
    file: InputPath, reader: CdfReader, config: Config, ephemeris: Ephemeris | None = None
) -> Spectrogram:
    """Read and reduce one file, `data.chunk_records` records at a time.

    Raises `InvalidCdfError` if it cannot be read or has no valid record, `OSError` if it cannot be
    opened.
    """
    with doing("read"):
        source = preset_of(config).open(file.instrument, reader)
    return reduce_source(file, source, config, ephemeris)


def reduce_source(
    file: InputPath, source: InputFile, config: Config, ephemeris: Ephemeris | None = None
) -> Spectrogram:
    """Reduce an open file, `data.chunk_records` records at a time.

    Categories by direction need the ephemeris: without it, they have no values. Raises
    `InvalidCdfError` if it cannot be read or has no valid record.
    """
    categories, records = source.categories, source.records
    time, time_start, time_end = np.empty(records), np.empty(records), np.empty(records)
    mode = np.empty(records, np.uint32)
    values = np.empty((len(categories), records, source.channels), np.float32)
    quality, errors = np.empty(0, np.uint8), np.empty((0, 0, 0), np.float32)
    angles, bands = angles_of(config.bands(file.instrument) if config.has_angles else (), records)
    moments = _SumsOfFile(plan_for(config, file.instrument), records)
    step = _chunk_records(source, config)
    for first in range(0, records, step):
        rows = slice(first, min(first + step, records))
        with doing("read"):
            chunk = source.chunk(rows.start, rows.stop)
        chunk = with_directions(chunk, categories, ephemeris)
        time[rows], time_start[rows], time_end[rows] = chunk.time, chunk.time_start, chunk.time_end
        mode[rows] = chunk.mode
        with doing("reduce"):
            reduced = reduce_distribution(chunk, categories, source.combine)
            if angles.size:
                angles[:, rows] = reduce_angles(chunk, source.edges, bands)
            moments.add(rows, chunk, source)
        values[:, rows] = reduced.values
        if reduced.errors is not None:
            errors = errors if errors.size else np.full(values.shape, np.nan, np.float32)
            errors[:, rows] = reduced.errors
        if chunk.quality is not None:
            quality = quality if quality.size else np.zeros(records, np.uint8)
            quality[rows] = chunk.quality
        bins = bins_of(chunk, source, config.has_pitch_angles(file.instrument))
        del chunk, reduced  # before the next one is read, to halve the memory
    _refuse_empty(values[list(categories).index(WHOLE)], time, file, config)
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
        edges=source.edges,
        intervals=padded(categories),
        quality=quality,
        errors=errors,
        angles=angles,
        bands=np.array(bands, np.float32).reshape(-1, 2),
        sums=moments.sums,
        provenance=provenance_of(file, config, bins),
    )


class _SumsOfFile:
    """The sums of moments of a file, chunk by chunk."""

    def __init__(self, plan: MomentPlan | None, records: int) -> None:
        self._plan, self._records = plan, records
        self.sums: MomentSums | None = None
        """None: the file allows no moments, or none are computed."""

    def add(self, rows: slice, chunk: Distribution, source: InputFile) -> None:
        """Add a chunk. A file of which one has no energy flux has no moments."""
        if self._plan is None or chunk.eflux is None:
            self._plan = self.sums = None
            return
        if self.sums is None:
            self.sums = empty_sums(self._plan, self._records, chunk.eflux)
        put(self.sums, rows, moment_sums(chunk, source.energy, source.edges, self._plan))


def _refuse_empty(
    whole: NDArray[np.float32], time: NDArray[np.float64], file: InputPath, config: Config
) -> None:
    """Raise `NoRecordsError` if no record has a time and a value in `whole` (record, channel)."""
    if not (np.isfinite(whole).any(axis=1) & np.isfinite(time)).any():
        flagged = ', or flags (data.quality = "drop")' if config.data.quality == "drop" else ""
        raise NoRecordsError(
            f"{file.path}: none of its {len(time)} records is valid: they are fill values, or have "
            f"valid = 0{flagged}"
        )


def at_cadence(spectrogram: Spectrogram, config: Config) -> Spectrogram:
    """A spectrogram with its records combined over `data.cadence`, if that is set.

    Counts (and telemetry codes) are summed, anything else is averaged; a note says so.
    """
    micros = config.data.cadence_micros
    if not micros:
        return spectrogram
    legend = spectrogram.legend
    combine: Combine = "sum" if legend.is_whole or is_count(legend.units) else "mean"
    length = f"{micros / 1e6:.12g} s"
    return replace(
        averaged(spectrogram, micros, combine),
        provenance=replace(spectrogram.provenance, cadence=f"{length} {combine}"),
        notes=(f"{spectrogram.instrument}: {combine}s over {length}", *spectrogram.notes),
    )


def _chunk_records(source: InputFile, config: Config) -> int:
    """Number of records to read at a time."""
    return min(config.data.chunk_records, source.most_records)
