"""What a spectrogram was made from and how, for the store and the figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from spectro_mpi.instruments import InputFile
from spectro_mpi.model.distribution import Distribution
from spectro_mpi.model.items import InputPath
from spectro_mpi.model.spectrogram import Provenance
from spectro_mpi.settings.digests import reduction_digest
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.activity import doing
from spectro_mpi.system.digests import sha256_of

_PACKAGES = ("spectro-mpi", "numpy", "cdflib", "pycdfpp")
"""Which of the two readers read a file is not recorded: after a crash it may be the other one."""


def provenance_of(file: InputPath, config: Config, bins: Provenance) -> Provenance:
    """The provenance of a file that has just been read; `bins` as `bins_of` returned it.

    The file is read a second time, which the page cache usually serves. Raises `OSError` if it
    cannot be read.
    """
    with doing("read"):
        digest = sha256_of(Path(file.path))
    return replace(bins, sha256=digest, settings=reduction_digest(config), software=software())


def bins_of(chunk: Distribution, source: InputFile, has_pitch_angles: bool) -> Provenance:
    """A provenance with how the angle bins of a file count: `weight` and `borders` only."""
    if source.combine == "sum":
        weight = "none"
    elif chunk.ring_width is not None:
        weight = "pitch-angle"
    else:
        weight = "none" if chunk.weight is None else source.weight
    borders = "centre" if chunk.width is None else "fraction"
    return Provenance(weight=weight, borders=borders if has_pitch_angles else "none")


@cache
def software() -> str:
    """Names and versions of the installed packages that affect the values."""
    return ", ".join(_installed())


def _installed() -> Iterator[str]:
    for package in _PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
