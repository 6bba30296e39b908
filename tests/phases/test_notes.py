"""What the title of a figure says of its data."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectro_mpi.draw.notes import notes_on_modes
from spectro_mpi.instruments.cdf import CdflibReader
from spectro_mpi.model.items import InputPath
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.phases.reduce import reduce_file
from spectro_mpi.settings.schema import Config, DataSettings
from tests.fast_files import content, write


def spectrogram(folder: Path, instrument: str, modes: list[int], quantity: str) -> Spectrogram:
    given = content(modes)
    given["valid"][0] = 0  # the mode of a record that is not drawn does not matter
    path = write(folder / f"fa_esa_l2_{instrument}_20000101001737_13312_v01.cdf", given)
    file = InputPath(instrument, str(path), path.stat().st_size, 1)
    return reduce_file(file, CdflibReader(path), Config(data=DataSettings(quantity=quantity)))


@pytest.mark.parametrize(
    ("quantity", "values"), [("counts", "Counts"), ("codes", "Telemetry codes")]
)
def test_a_figure_of_counts_says_that_its_mode_changes(
    tmp_path: Path, quantity: str, values: str
) -> None:
    changing = spectrogram(tmp_path, "ees", [2, 0, 1], quantity)
    steady = spectrogram(tmp_path, "ies", [2, 0, 0], quantity)
    said = f"{values} are comparable only within a mode"
    assert list(notes_on_modes([changing])) == [f"{said} (modes 0, 1)"]
    assert list(notes_on_modes([steady])) == []
    assert list(notes_on_modes([steady, changing])) == [f"{said} (ees: modes 0, 1)"]


@pytest.mark.parametrize("quantity", ["rate", "eflux", "flux"])
def test_rates_and_fluxes_are_comparable_between_modes(tmp_path: Path, quantity: str) -> None:
    assert list(notes_on_modes([spectrogram(tmp_path, "ees", [2, 0, 1], quantity)])) == []
