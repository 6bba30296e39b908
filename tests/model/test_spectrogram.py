"""The scales that a spectrogram is drawn with."""

from __future__ import annotations

import pytest

from spectro_mpi.model.spectrogram import Legend, drawn_scales


@pytest.mark.parametrize(
    ("y_scale", "z_scale", "drawn"),
    [
        ("", "", ("log", "linear")),
        ("linear", "", ("linear", "linear")),
        ("", "log", ("log", "log")),
        ("linear", "log", ("linear", "log")),
    ],
)
def test_a_scale_of_the_legend_goes_before_that_of_the_pair(
    y_scale: str, z_scale: str, drawn: tuple[str, str]
) -> None:
    assert drawn_scales(Legend(y_scale=y_scale, z_scale=z_scale), ("log", "linear")) == drawn
