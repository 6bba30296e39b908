"""Colour bars end in triangles where values lie beyond them, read off finished files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.draw.figure import Event, Painter
from spectro_mpi.draw.thumbnail import thumbnail
from spectro_mpi.model.extrema import Limits
from spectro_mpi.model.spectrogram import Legend
from tests.draw.test_figure import picture
from tests.draw.test_pixels import CADENCE, LIMITS, T0, UNDER, content, read, spectrogram, style

STYLE = style(200, (9.0, 3.0), "viridis")
POINT = 200 / 72
FIRST, LAST = (tuple(round(255 * c) for c in mpl.colormaps["viridis"](e)[:3]) for e in (0, 1.0))


def bar_of(png: bytes, panel: int = 0) -> NDArray[np.uint8]:
    """(row, column, rgb) inside of the outline of a panel's colour bar: 10 points to the right of
    the panel and 14 wide, as high as the panel."""
    _, top, right, bottom = read(png)[1]["panels"][panel]["box"]
    left = right + round(10 * POINT)
    return picture(png)[top:bottom, left : left + round(14 * POINT)]


def widths(bar: NDArray[np.uint8]) -> NDArray[np.intp]:
    """(row,) number of pixels that are neither white nor black nor grey from smoothing."""
    spread = bar.max(axis=2).astype(int) - bar.min(axis=2)
    is_under = (bar == UNDER).all(axis=2)
    return np.asarray(((spread > 8) | is_under).sum(axis=1))


def figure(values: Any, scale: str = "log", **changes: Any) -> bytes:
    shown = content(spectrogram(np.full((40, 48), values)), scales=("log", scale))
    return Painter().draw(replace(shown, **changes), STYLE)


@pytest.mark.parametrize(
    ("value", "scale", "extend"),
    [
        (1.0, "log", "min"),
        (0.0, "log", "min"),
        (1000.0, "log", "min"),
        (1000.1, "log", "both"),
        (1.0, "linear", "neither"),
        (0.99, "linear", "min"),
        (-7.0, "linear", "min"),
        (1000.0, "linear", "neither"),
        (1001.0, "linear", "max"),
        (np.nan, "log", "min"),
        (np.nan, "linear", "neither"),
    ],
)
def test_a_bar_is_pointed_where_values_lie_beyond_it(value: float, scale: str, extend: str) -> None:
    png = figure(value, scale)
    assert read(png)[1]["panels"][0]["extend"] == extend
    wide = widths(bar_of(png))
    full = wide.max()
    assert full == round(14 * POINT)
    middle = len(wide) // 2
    assert (wide[middle - 50 : middle + 50] == full).all()
    for ends, rows in (("min both", wide[::-1]), ("max both", wide)):
        if extend in ends.split():
            height = int((rows < full).sum() if extend != "both" else np.argmax(rows == full))
            assert 20 < height < 35
            assert rows[0] <= 3
            assert (np.diff(rows[:height]) >= 0).all()
        else:
            assert rows[0] == full


def test_the_triangles_have_the_colours_of_the_values_beyond() -> None:
    for scale, below in (("log", UNDER), ("linear", FIRST)):
        values = np.where(np.arange(40)[:, None] % 2, 5000.0, -1.0) * np.ones(48)
        bar = bar_of(figure(values, scale))
        middle = bar[:, bar.shape[1] // 2]
        for row, color in ((len(bar) - 12, below), (12, LAST)):
            assert np.abs(middle[row].astype(int) - color).max() <= 2


def test_ticks_stand_at_the_colour_of_their_value() -> None:
    for value in (30.0, 1e5):
        png = figure(value)
        image, (entry,) = picture(png), read(png)[1]["panels"]
        _, top, right, bottom = entry["box"]
        bar = bar_of(png)
        outside = right + round(10 * POINT) + round(14 * POINT) + 2  # right of the outline
        black = (image[top:bottom, outside + 6] == 0).all(axis=1)
        rows = np.flatnonzero(black & ~np.append(False, black[:-1])) + 0.5
        assert len(rows) == 4  # 1, 10, 100, 1000
        table = np.asarray(mpl.colormaps["viridis"](np.arange(256)))[:, :3] * 255
        column = bar[:, bar.shape[1] // 2].astype(float)
        for row, expected in zip(rows[1:3], (2 / 3, 1 / 3), strict=True):
            far = np.abs(table - column[int(row)]).sum(axis=1)
            assert (far.argmin() + 0.5) / 256 == pytest.approx(expected, abs=0.01)


def test_means_decide_whether_values_lie_above_the_scale() -> None:
    values = np.full((4000, 48), 900.0)
    values[::100] = 2000.0  # one of the four records or so that a pixel column shows
    shown = content(spectrogram(values))
    event = Event(T0 + 100 * CADENCE, T0 + 101 * CADENCE)
    _, described = read(Painter().draw(replace(shown, events=(event,)), STYLE))
    whole, zoom = described["panels"]
    assert whole["extend"] == "both"
    assert zoom["extend"] == "both"
    means = np.full((4000, 48), 900.0)
    means[::2] = 1050.0
    _, described = read(
        Painter().draw(replace(content(spectrogram(means)), events=(event,)), STYLE)
    )
    whole, zoom = described["panels"]
    assert (whole["extend"], zoom["extend"]) == ("min", "both")


def test_channels_outside_of_the_axis_do_not_point_the_bar() -> None:
    values = np.full((40, 48), 30.0)
    values[:, :3] = 5000.0  # the channels above 24 keV
    for y_max, extend in ((34000.0, "both"), (20000.0, "min")):
        shown = content(spectrogram(values), limits=replace(LIMITS, y_max=y_max))
        assert read(Painter().draw(shown, STYLE))[1]["panels"][0]["extend"] == extend


def test_a_painter_keeps_bars_with_and_without_triangles_apart() -> None:
    used = Painter()
    for value in (30.0, 5000.0, 30.0, 5000.0):
        shown = content(spectrogram(np.full((40, 48), value)))
        assert used.draw(shown, STYLE) == Painter().draw(shown, STYLE)


def test_the_file_tells_the_colour_of_values_below_a_log_scale() -> None:
    assert read(figure(0.0))[1]["under"] == list(UNDER)
    assert "under" not in read(figure(0.0, "linear"))[1]


def test_panels_of_one_figure_have_their_own_scales() -> None:
    values = np.full((40, 48), 30.0)
    values[0] = -7.0
    data = spectrogram(values)
    pitch = replace(data, legend=Legend(y_scale="linear"))
    net = replace(data, legend=Legend(z_scale="linear"))
    shown = content(data, pitch, net, limits=Limits(5.0, 34000.0, 1.0, 1000.0))
    panels, described = read(Painter().draw(shown, STYLE))
    scales = [(entry["y_scale"], entry["z_scale"]) for entry in described["panels"]]
    assert scales == [("log", "log"), ("linear", "log"), ("log", "linear")]
    assert [entry["extend"] for entry in described["panels"]] == ["min"] * 3
    assert [panel.under[:, 5].any() for panel in panels] == [True, True, False]


def test_missing_values_are_white() -> None:
    values = np.full((40, 48), 30.0)
    values[10:20] = np.nan
    values[20:30] = 0.0
    (panel,), _ = read(Painter().draw(content(spectrogram(values)), STYLE))
    record = ((panel.time - T0) / CADENCE).astype(int)
    assert panel.blank[:, (record >= 10) & (record < 20)].all()
    assert panel.under[100][(record >= 20) & (record < 30)].all()
    assert not panel.blank[100][(record < 10) | (record >= 20)].any()


def test_a_thumbnail_shows_values_below_the_scale() -> None:
    values = np.full((40, 48), 30.0)
    values[10:20] = np.nan
    values[20:] = 0.0
    figure = Painter().figure(content(spectrogram(values)), STYLE)
    middle = figure.thumbnail[64]
    assert (middle[130:] == UNDER).all()
    assert (middle[65:115] == 255).all()
    assert ((middle[:55] != 255).any(axis=1) & (middle[:55] != 208).any(axis=1)).all()


def test_a_thumbnail_pixel_is_that_of_most_of_its_samples() -> None:
    from spectro_mpi.draw.layout import Box
    from spectro_mpi.draw.palette import BLANK
    from spectro_mpi.draw.palette import UNDER as BELOW

    image = np.full((256, 480), BLANK, np.uint8)  # two by two samples a pixel
    image[0:2, 0:2] = [[100, 100], [BELOW, 104]]
    image[0:2, 2:4] = [[100, BELOW], [BELOW, BELOW]]
    image[0:2, 4:6] = [[100, BELOW], [BLANK, BLANK]]
    image[0:2, 6:8] = [[BLANK, BELOW], [BLANK, BLANK]]
    small = thumbnail(image, [Box(0, 0, 480, 256)])
    assert small[0, :4].tolist() == [101, BELOW, 100, BLANK]
