"""A strip above each panel marks flagged records, read off finished files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.draw.figure import Event, Painter
from spectro_mpi.draw.palette import palette_of
from spectro_mpi.model.spectrogram import Spectrogram
from tests.draw.test_figure import ARC, picture
from tests.draw.test_pixels import CADENCE, T0, content, read, spectrogram, style

STYLE = style(200, (9.0, 3.0))


def flagged(*records: int) -> Spectrogram:
    quality = np.zeros(len(ARC), np.uint8)
    quality[list(records)] = 2
    return replace(spectrogram(ARC), quality=quality)


def strip(png: bytes, panel: int = 0) -> NDArray[np.bool_]:
    """(row, column) pixels of the colour of flags in the 30 rows above a panel, from the panel."""
    described = read(png)[1]
    left, top, right, _ = described["panels"][panel]["box"]
    color = described.get("flag", [140, 81, 10])
    return np.asarray((picture(png)[top - 30 : top, left:right] == color).all(axis=2)[::-1])


def test_flagged_records_are_marked_above_the_panel_and_nothing_else() -> None:
    marked, plain = (
        Painter().draw(content(data), STYLE) for data in (flagged(7, 8, 250), flagged())
    )
    (panel,), _ = read(marked)
    assert panel.entry["flagged"] == 3
    width = panel.time[1] - panel.time[0]
    expected = np.zeros(len(panel.time), bool)
    for record in (7, 8, 250):
        begin, end = T0 + record * CADENCE, T0 + (record + 1) * CADENCE
        expected |= (panel.time >= begin) & (panel.time < end)
    seen = strip(marked)
    rows = np.flatnonzero(seen.any(axis=1))
    assert rows.tolist() == list(range(2, 8))  # 6 pixels, above the outline of 2
    for row in rows:
        edges = np.abs(np.diff(expected.astype(int)))
        assert (seen[row] == expected).all() or (seen[row] ^ expected).sum() <= edges.sum()
    assert expected.sum() == pytest.approx(3 * CADENCE / width, abs=3)
    assert not strip(plain).any()
    assert "flag" not in read(plain)[1] and "flagged" not in read(plain)[0][0].entry


def test_marking_records_leaves_the_panel_where_it_is() -> None:
    (marked,), _ = read(Painter().draw(content(flagged(7)), STYLE))
    (unmarked,), _ = read(Painter().draw(content(spectrogram(ARC)), STYLE))
    assert marked.entry["box"] == unmarked.entry["box"]
    np.testing.assert_array_equal(marked.rgb, unmarked.rgb)


def test_zoomed_panels_are_marked_too() -> None:
    event = Event(T0 + 200, T0 + 260)
    inside, outside = (int((event.start + 30) / CADENCE - T0 / CADENCE), 399)
    png = Painter().draw(replace(content(flagged(inside, outside)), events=(event,)), STYLE)
    whole, zoom = read(png)[1]["panels"]
    assert (whole["flagged"], zoom["flagged"]) == (2, 1)
    left, _, right, _ = zoom["box"]
    begin, end = zoom["time"]
    at = np.flatnonzero(strip(png, 1).any(axis=0)) + 0.5
    times = begin + at / (right - left) * (end - begin)
    pixel = (end - begin) / (right - left)
    assert times[0] == pytest.approx(T0 + inside * CADENCE, abs=2 * pixel)
    assert times[-1] == pytest.approx(T0 + (inside + 1) * CADENCE, abs=2 * pixel)


def test_a_record_much_narrower_than_a_pixel_is_marked() -> None:
    long = spectrogram(np.full((40_000, 48), 30.0))
    quality = np.zeros(40_000, np.uint8)
    quality[23_456] = 4
    seen = strip(Painter().draw(content(replace(long, quality=quality)), STYLE))
    assert seen.any(axis=0).sum() == 1


@pytest.mark.parametrize("name", ["viridis", "inferno", "plasma", "cividis", "jet", "gray"])
def test_flags_are_unlike_the_marks_of_events(name: str) -> None:
    rgb = palette_of(name).rgb.astype(int)
    described = read(Painter().draw(content(flagged(3)), style(map=name)))[1]
    assert np.abs(rgb[255] - described["flag"]).sum() > 100
    assert np.abs(rgb[0] - described["flag"]).sum() > 300
