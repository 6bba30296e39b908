"""The ephemeris of an item: read once, and given to each of its spectrograms by record."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf import CdflibReader, PycdfppReader
from spectro_mpi.instruments.ephemeris import joined, read_ephemeris
from spectro_mpi.model.distribution import Categories, Distribution
from spectro_mpi.model.ephemeris import FIELD_MODEL, HEMISPHERE, LOSS_CONE, Ephemeris
from spectro_mpi.model.items import InputPath
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.direction import Direction
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.activity import doing
from spectro_mpi.system.digests import sha256_of


def ephemeris_of(
    files: Iterable[InputPath], config: Config, fast: bool
) -> tuple[Ephemeris | None, list[str]]:
    """The ephemeris in some files, and a note on each that cannot be read; None: there is none.

    With `fast`, pycdfpp reads them. Of a file that cannot be read, the best of its earlier versions
    is.
    """
    parts: list[Ephemeris] = []
    notes: list[str] = []
    with doing("read"):
        for file in files:
            for version in (file, *file.older):
                try:
                    parts.append(_read(Path(version.path), config, fast))
                    break
                except (InvalidCdfError, OSError) as error:
                    what = str(error).replace(f"{Path(version.path).parent}/", "")
                    notes.append(f"ephemeris: {what}")
    return (joined(parts) if parts else None), notes


def with_ephemeris(spectrogram: Spectrogram, ephemeris: Ephemeris | None) -> Spectrogram:
    """A spectrogram with the ephemeris at the times of its records."""
    if ephemeris is None:
        return spectrogram
    made = replace(
        spectrogram.provenance,
        ephemeris=f"{ephemeris.source}, {FIELD_MODEL}",
        ephemeris_sha256=ephemeris.sha256,
    )
    return replace(spectrogram, ephemeris=ephemeris.at(spectrogram.time), provenance=made)


def with_directions(
    chunk: Distribution, categories: Categories, ephemeris: Ephemeris | None
) -> Distribution:
    """Records with the direction toward earth and the loss cone, if a category needs them."""
    is_needed = any(isinstance(category, Direction) for category in categories.values())
    if ephemeris is None or not is_needed:
        return chunk
    at = {variable.name: variable.values for variable in ephemeris.at(chunk.time)}
    earthward = np.where(at[HEMISPHERE] < 0, 180.0, at[HEMISPHERE] * 0.0)  # NaN stays
    return replace(chunk, earthward=earthward, loss_cone=at.get(LOSS_CONE))


def _read(path: Path, config: Config, fast: bool) -> Ephemeris:
    """Read a file, with pycdfpp if `fast` and it can. Raises `InvalidCdfError`, `OSError`."""
    digest = sha256_of(path)
    if fast:
        with contextlib.suppress(InvalidCdfError, MemoryError):
            return replace(read_ephemeris(PycdfppReader(path), config.ephemeris), sha256=digest)
    try:
        return replace(read_ephemeris(CdflibReader(path), config.ephemeris), sha256=digest)
    except MemoryError:  # such files are small, but a damaged one may ask for any size
        raise InvalidCdfError(f"{path}: is damaged: reading it takes too much memory") from None
