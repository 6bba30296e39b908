"""The provenance of a spectrogram is that of its file, its settings and its angle bins."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spectro_mpi.demo import DemoSummary
from spectro_mpi.instruments.cdf import (
    CdflibReader,
    CdfReader,
    PycdfppReader,
    has_fast_reader,
)
from spectro_mpi.model.spectrogram import Provenance
from spectro_mpi.phases.provenance import bins_of
from spectro_mpi.phases.reduce import reduce_file
from spectro_mpi.settings.digests import reduction_digest
from spectro_mpi.settings.schema import Config, DataSettings
from tests.phases.test_reduce import distribution, input_path


@pytest.mark.parametrize("quantity", ["counts", "eflux"])
def test_what_a_spectrogram_was_made_from_is_told(demo: DemoSummary, quantity: str) -> None:
    path = max(demo.directory.glob("FAST_data/*/*/*ees*13312*.cdf"))
    config = Config(data=DataSettings(quantity=quantity, chunk_records=100))
    readers: list[CdfReader] = [CdflibReader(path)]
    if has_fast_reader():
        readers.append(PycdfppReader(path))
    for reader in readers:
        made = reduce_file(input_path(path), reader, config).provenance
        assert made.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert made.settings == reduction_digest(Config(data=DataSettings(quantity=quantity)))
        assert f"numpy {np.__version__}" in made.software.split(", ")
        if quantity == "counts":
            assert (made.weight, made.borders) == ("none", "centre")


def test_weights_and_borders_are_those_of_the_bins() -> None:
    class Source:
        combine = "mean"
        weight = "omega"

    plain = distribution(np.ones((1, 2, 1), np.float32), [10, 20])
    weighted = replace(plain, weight=np.ones((1, 2, 1), np.float32))
    wide = replace(plain, width=np.ones((1, 2, 1), np.float32))
    source: Any = Source()
    assert bins_of(plain, source, True) == Provenance(weight="none", borders="centre")
    assert bins_of(weighted, source, True) == Provenance(weight="omega", borders="centre")
    assert bins_of(wide, source, True) == Provenance(weight="none", borders="fraction")
    assert bins_of(wide, source, False) == Provenance(weight="none", borders="none")
    source.combine = "sum"
    assert bins_of(weighted, source, True).weight == "none"
