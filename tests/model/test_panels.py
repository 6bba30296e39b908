"""Which spectrograms share a panel, and what figures say of those that overlap or cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spectro_mpi.model.panels import notes_on_panels, panels_of
from spectro_mpi.model.spectrogram import Legend, Spectrogram
from spectro_mpi.settings.instrument_table import InstrumentTable
from tests.model.spectrograms import with_values


def spectrogram(name: str, energy: Sequence[float], **legend: str) -> Spectrogram:
    one = with_values(np.ones((1, 3, 5)), legend=Legend(**{"units": "s-1", **legend}))  # type: ignore[arg-type]
    channels = np.array([energy], np.float32)
    return replace(one, instrument=name, energy=channels, edges=np.empty((0, 0, 2), np.float32))


LOW, HIGH = [1, 2, 4, 8, 16], [32, 64, 128, 256, 512]
TABLES = tuple(
    InstrumentTable(name, "x_{date}.cdf", "Flux", panel=panel)
    for name, panel in (("a", "p"), ("b", "p"), ("c", ""), ("d", "q"), ("e", "q"), ("f", "p"))
)


def names(*spectrograms: Spectrogram) -> list[list[str]]:
    return [[each.instrument for each in panel] for panel in panels_of(spectrograms, TABLES)]


def test_panels_are_in_the_order_of_their_first_instruments() -> None:
    given = [spectrogram(name, LOW) for name in "dcbfea"]
    assert names(*given) == [["d", "e"], ["c"], ["b", "f", "a"]]
    assert names(*given[:2]) == [["d"], ["c"]]


def test_ranges_that_touch_say_nothing_and_those_that_overlap_do() -> None:
    low = spectrogram("a", LOW)
    assert list(notes_on_panels([low, spectrogram("b", HIGH)], TABLES)) == []
    assert list(notes_on_panels([low, spectrogram("c", LOW)], TABLES)) == []
    (note,) = notes_on_panels([low, spectrogram("b", [8, 16, 32, 64, 128])], TABLES)
    assert note == "5.66 to 22.6 eV: a is drawn, and b where it has no value"


def test_other_units_and_scales_keep_an_instrument_apart() -> None:
    low = spectrogram("a", LOW)
    others = {
        "units (counts) are not those (s-1) of a": {"units": "counts"},
        "units of energy (Hz) are not those (eV) of a": {"axis_units": "Hz"},
        "colour scale (linear) is not that (log) of a": {"z_scale": "linear"},
    }
    for words, legend in others.items():
        lead = replace(low, legend=replace(low.legend, z_scale="log"))
        other = spectrogram("b", HIGH, **legend)
        assert names(lead, other) == [["a"], ["b"]]
        (note,) = notes_on_panels([lead, other], TABLES)
        assert note == f"b is not in the panel p, because its {words}"


def test_a_scale_of_one_instrument_is_that_of_its_panel() -> None:
    linear = spectrogram("b", HIGH, y_scale="linear")
    ((first, second),) = panels_of([spectrogram("a", LOW), linear], TABLES)
    assert first.legend.y_scale == second.legend.y_scale == "linear"
    assert second is linear
