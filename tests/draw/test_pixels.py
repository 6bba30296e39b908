"""Every pixel of a panel shows the value at its own time and energy, read off finished files."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from spectro_mpi.draw.figure import FigureContent, Painter, Panel, Style
from spectro_mpi.draw.palette import BLACK, FIRST_COLOR, palette_of
from spectro_mpi.model.extrema import Limits
from spectro_mpi.model.spectrogram import Spectrogram

T0 = 946685857.0  # 2000-01-01T00:17:37
CADENCE = 2.5
FAST_TABLE = [
    *(34119.7, 30105.6, 26091.5, 22077.4, 18063.4, 15052.8, 13045.8, 11038.7, 9031.68, 7526.4),
    *(6522.88, 5519.36, 4515.84, 3763.2, 3261.44, 2759.68, 2257.92, 1881.6, 1630.72, 1379.84),
    *(1128.96, 940.8, 815.36, 689.92, 564.48, 470.4, 407.68, 344.96, 282.24, 235.2, 203.84),
    *(172.48, 141.12, 117.6, 101.92, 86.24, 70.56, 58.8, 50.96, 43.12, 35.28, 29.4, 25.48),
    *(21.56, 17.64, 13.72, 9.8, 5.88),
]
"""Modes 0 and 1, eV."""
FINE_TABLE = [*np.geomspace(33116.2, 5.88, 92), 3.92, 3.92, 3.92, 3.92]
"""Like mode 2: other channels, twice as many, the last one four times."""
ENERGY = np.full((3, 96), np.nan, np.float32)
ENERGY[:2, :48] = FAST_TABLE
ENERGY[2] = FINE_TABLE
LIMITS = Limits(5.0, 34000.0, 1.0, 1000.0)
WHITE = (255, 255, 255)
UNDER = (208, 208, 208)


@dataclass(frozen=True)
class Data:
    """What one panel of a finished file shows."""

    rgb: NDArray[np.uint8]
    """(row, column, rgb)"""
    time: NDArray[np.float64]
    """(column,) at the pixels' centres"""
    energy: NDArray[np.float64]
    """(row,) at the pixels' centres"""
    entry: dict[str, Any]

    @property
    def blank(self) -> NDArray[np.bool_]:
        return np.asarray((self.rgb == WHITE).all(axis=2))

    @property
    def under(self) -> NDArray[np.bool_]:
        return np.asarray((self.rgb == UNDER).all(axis=2))

    def value(self) -> NDArray[np.float64]:
        """(row, column) values as a reader finds them: the nearest colour of the map.

        NaN: missing; −inf: below the scale.
        """
        table = np.asarray(mpl.colormaps[self.entry["colormap"]](np.arange(256)))[:, :3] * 255
        colors, back = np.unique(self.rgb.reshape(-1, 3), axis=0, return_inverse=True)
        far = ((colors[:, None, :] - table[None]) ** 2).sum(axis=2)
        fraction = (far.argmin(axis=1) + 0.5) / 256
        z0, z1 = self.entry["z"]
        log = self.entry["z_scale"] == "log"
        value = z0 * (z1 / z0) ** fraction if log else z0 + (z1 - z0) * fraction
        shown = value[back.reshape(-1)].reshape(self.rgb.shape[:2])
        return np.where(self.blank, np.nan, np.where(self.under, -np.inf, shown))


def spectrogram(
    values: NDArray[Any],
    time: NDArray[Any] | None = None,
    mode: NDArray[np.uint8] | int = 0,
    edges: bool = True,
) -> Spectrogram:
    """`values` is (record, channel) of the one category."""
    records = len(values)
    centre: NDArray[Any] = T0 + (np.arange(records) + 0.5) * CADENCE
    if time is not None:
        centre = time
    half = CADENCE / 2 if edges else np.nan
    filled = np.full((1, records, 96), np.nan, np.float32)
    filled[0, :, : values.shape[1]] = values
    return Spectrogram(
        instrument="ees",
        quantity="counts",
        category=("all",),
        time=centre,
        time_start=centre - half,
        time_end=centre + half,
        mode=np.broadcast_to(np.asarray(mode, np.uint8), (records,)),
        energy=ENERGY,
        values=filled,
        source="fa_esa_l2_ees_20000101001737_13312_v01.cdf",
        source_size=1,
    )


def content(
    *spectrograms: Spectrogram, scales: tuple[str, str] = ("log", "log"), limits: Limits = LIMITS
) -> FigureContent:
    panels = tuple(Panel(f"row {n}", s, 0, limits, "Counts") for n, s in enumerate(spectrograms))
    return FigureContent(
        item="13312",
        kind="pitch-angle",
        title="Orbit 13312",
        notes=(),
        panels=panels,
        scales=scales,
        limits="given_extrema",
        sources=tuple(s.source for s in spectrograms),
    )


def style(dpi: int = 100, size: tuple[float, float] = (9.0, 3.0), map: str = "viridis") -> Style:
    return Style(dpi, size, map, 6.25)


def read(png: bytes) -> tuple[list[Data], dict[str, Any]]:
    """Open a finished file the way another program would."""
    image = Image.open(io.BytesIO(png))
    described = json.loads(image.info["spectro-mpi"])
    rgb = np.asarray(image.convert("RGB"))
    panels = []
    for entry in described["panels"]:
        left, top, right, bottom = entry["box"]
        column = (np.arange(right - left) + 0.5) / (right - left)
        row = (bottom - top - np.arange(bottom - top) - 0.5) / (bottom - top)
        (t0, t1), (e0, e1) = entry["time"], entry["energy"]
        energy = e0 * (e1 / e0) ** row if entry["y_scale"] == "log" else e0 + (e1 - e0) * row
        time = t0 + (t1 - t0) * column if t0 is not None else np.full(right - left, np.nan)
        panels.append(Data(rgb[top:bottom, left:right], time, energy, entry))
    return panels, described


def draw(*args: Any, style: Style = style(), **kwargs: Any) -> Data:  # noqa: B008
    panels, _ = read(Painter().draw(content(*args, **kwargs), style))
    return panels[0]


def channel_edges(table: list[float]) -> NDArray[np.float64]:
    """Ascending edges of an ordinary table, by the rule itself."""
    centre = np.sort(np.array(table, np.float32)).astype(np.float64)
    inner = np.sqrt(centre[1:] * centre[:-1])
    return np.array([centre[0] ** 2 / inner[0], *inner, centre[-1] ** 2 / inner[-1]])


@pytest.mark.parametrize("y_scale", ["linear", "log"])
def test_a_bright_channel_fills_exactly_the_rows_between_its_edges(y_scale: str) -> None:
    values = np.ones((20, 48))
    values[:, FAST_TABLE.index(101.92)] = 900
    limits = Limits(5.0, 400.0, 1.0, 1000.0)
    shown = draw(spectrogram(values), scales=(y_scale, "log"), limits=limits)
    low, high = np.sqrt(86.24 * 101.92), np.sqrt(101.92 * 117.6)
    expected = (shown.energy >= low) & (shown.energy < high)
    assert expected.sum() > 5
    assert ((shown.value() > 500) == expected[:, None]).all()


def test_a_bright_record_fills_exactly_its_columns() -> None:
    values = np.ones((20, 48))
    values[7] = 900
    shown = draw(spectrogram(values))
    expected = (shown.time >= T0 + 7 * CADENCE) & (shown.time < T0 + 8 * CADENCE)
    assert expected.sum() > 5
    assert ((shown.value() > 500) == expected[None, :]).all()


def test_each_record_is_drawn_by_the_table_of_its_own_mode() -> None:
    mode = np.array([0, 0, 1, 2, 2, 0], np.uint8)
    values = np.full((6, 96), np.nan)
    values[mode < 2, :48] = np.arange(48) * 10 + 10
    values[mode == 2] = np.arange(96) * 10 + 10
    shown = draw(spectrogram(values, mode=mode), scales=("log", "linear"))
    value = shown.value()
    for record, table in enumerate([FAST_TABLE] * 3 + [FINE_TABLE[:93]] * 2 + [FAST_TABLE]):
        column = int(np.argmin(np.abs(shown.time - (T0 + (record + 0.5) * CADENCE))))
        edges = channel_edges(table)
        channel = np.searchsorted(edges, shown.energy, "right") - 1
        expected = 10 + 10.0 * (len(table) - 1 - channel)
        inside = (channel >= 0) & (channel < len(table))
        assert np.isnan(value[~inside, column]).all()
        away = inside & (channel > 0)
        np.testing.assert_allclose(value[away, column], expected[away], atol=6)


def test_repeated_centres_are_one_channel_with_the_mean_of_its_finite_values() -> None:
    values = np.full((4, 96), 500.0)
    values[:, 92:] = [100.0, 200.0, np.nan, 300.0]
    limits = Limits(2.0, 100.0, 0.0, 1000.0)
    shown = draw(spectrogram(values, mode=2), scales=("log", "linear"), limits=limits)
    low, high = 3.92**1.5 / 5.88**0.5, np.sqrt(3.92 * 5.88)
    rows = (shown.energy > low * 1.001) & (shown.energy < high * 0.999)
    np.testing.assert_allclose(shown.value()[rows], 200, atol=6)
    assert shown.blank[shown.energy < low * 0.999].all()


def test_a_mode_without_a_table_is_blank_for_its_own_time_only() -> None:
    mode = np.array([0, 0, 9, 0, 0], np.uint8)
    shown = draw(spectrogram(np.full((5, 48), 30.0), mode=mode))
    record = np.floor((shown.time - T0) / CADENCE)
    row = int(np.argmin(np.abs(shown.energy - 100)))
    assert (shown.blank[row] == (record == 2)).all()


def test_columns_with_records_of_several_modes_average_them_at_each_energy() -> None:
    records = 4000
    values = np.full((records, 96), np.nan)
    mode = np.where(np.arange(records) % 2, 2, 0).astype(np.uint8)
    values[mode == 0, :48] = 100
    values[mode == 2] = 300
    shown = draw(spectrogram(values, mode=mode), scales=("log", "linear"))
    assert len(shown.time) < records / 4
    both = (shown.energy > 6) & (shown.energy < 33000)
    # Four to six records fall into a column, so one mode may be there once more often.
    assert (np.abs(shown.value()[both] - 200) < 45).all()
    only_fine = (shown.energy > 3.5) & (shown.energy < 4.5)
    np.testing.assert_allclose(shown.value()[only_fine], 300, atol=6)


def test_dense_records_are_averaged_over_their_finite_values() -> None:
    rng = np.random.default_rng(3)
    values = rng.uniform(0, 1000, (20_000, 48)).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = np.nan
    data = spectrogram(values)
    shown = draw(data, scales=("log", "linear"), limits=Limits(6.0, 30000.0, 0.0, 1000.0))
    left, right = shown.entry["time"]
    column = ((data.time - left) / (right - left) * len(shown.time)).astype(int)
    channel = FAST_TABLE.index(1128.96)
    row = int(np.argmin(np.abs(shown.energy - 1128.96)))
    for one in (0, 5, len(shown.time) // 2, len(shown.time) - 1):
        expected = np.nanmean(values[column == one, channel])
        assert abs(shown.value()[row, one] - expected) < 6


def test_a_gap_is_blank_and_records_keep_their_own_edges_beside_it() -> None:
    time = T0 + np.concatenate([np.arange(10), np.arange(20, 30)]) * CADENCE
    shown = draw(spectrogram(np.full((20, 48), 30.0), time=time))
    row = int(np.argmin(np.abs(shown.energy - 100)))
    gap = (shown.time >= T0 + 9.5 * CADENCE) & (shown.time < T0 + 19.5 * CADENCE)
    assert (shown.blank[row] == gap).all()


@pytest.mark.parametrize("edges", [True, False])
def test_a_missing_record_leaves_no_gap(edges: bool) -> None:
    time = T0 + np.delete(np.arange(20), 9) * CADENCE
    shown = draw(spectrogram(np.full((19, 48), 30.0), time=time, edges=edges))
    assert not shown.blank[int(np.argmin(np.abs(shown.energy - 100)))].any()


def test_records_without_edges_reach_to_the_midpoints() -> None:
    values = np.ones((20, 48))
    values[7] = 900
    shown = draw(spectrogram(values, edges=False))
    expected = (shown.time >= T0 + 7 * CADENCE) & (shown.time < T0 + 8 * CADENCE)
    assert ((shown.value() > 500) == expected[None, :]).all()
    np.testing.assert_allclose(shown.entry["time"], [T0, T0 + 20 * CADENCE])


def test_the_order_of_records_in_the_file_does_not_matter() -> None:
    rng = np.random.default_rng(5)
    sorted_data = spectrogram(rng.uniform(1, 1000, (30, 48)))
    order = rng.permutation(30)
    shuffled = spectrogram(sorted_data.values[0, order, :48], time=sorted_data.time[order])
    np.testing.assert_array_equal(draw(sorted_data).rgb, draw(shuffled).rgb)


def test_records_at_one_time_are_averaged_where_they_fall_into_a_column() -> None:
    time = T0 + np.array([0.0, 1.0, 2.0, 2.0, 3.0, 4.0]) * CADENCE
    values = np.repeat([100.0, 100.0, 200.0, 400.0, 100.0, 100.0], 48).reshape(6, 48)
    shown = draw(spectrogram(values, time=time), scales=("log", "linear"))
    column = int(np.searchsorted(shown.time, T0 + 2 * CADENCE))
    near = shown.value()[100, column - 1 : column + 1]
    assert np.abs(near - 300).min() < 6


def test_times_that_are_missing_are_left_out() -> None:
    values = np.full((30, 48), 30.0)
    time = T0 + (np.arange(30) + 0.5) * CADENCE
    time[[3, 6, 8]] = [np.nan, T0 + 1e8, -1e31]
    shown = draw(spectrogram(values, time=time))
    np.testing.assert_allclose(shown.entry["time"], [T0, T0 + 30 * CADENCE])


def test_edges_that_are_fill_values_are_not_believed() -> None:
    data = spectrogram(np.full((10, 48), 30.0))
    start, end = data.time_start.copy(), data.time_end.copy()
    start[0], end[9], start[5] = -1e31, 0.0, data.time[5] + 1
    shown = draw(replace(data, time_start=start, time_end=end))
    np.testing.assert_allclose(shown.entry["time"], [T0, T0 + 10 * CADENCE])
    assert not shown.blank[100].any()


def test_one_record_is_drawn_over_its_own_time() -> None:
    shown = draw(spectrogram(np.full((1, 48), 30.0)))
    np.testing.assert_allclose(shown.entry["time"], [T0, T0 + CADENCE])
    assert not shown.blank[100].any()
    alone = draw(spectrogram(np.full((1, 48), 30.0), edges=False))
    assert alone.entry["time"][1] - alone.entry["time"][0] == pytest.approx(1.0)


def test_rows_share_the_time_axis_of_all_records() -> None:
    first = spectrogram(np.full((10, 48), 30.0))
    second = spectrogram(np.full((10, 48), 30.0), time=first.time + 40)
    panels, _ = read(Painter().draw(content(first, second), style()))
    assert panels[0].entry["time"] == panels[1].entry["time"]
    assert (panels[0].blank[100] == (panels[0].time >= T0 + 25)).all()
    assert (panels[1].blank[100] == (panels[1].time < T0 + 40)).all()


def test_an_unordered_table_draws_the_same_picture() -> None:
    values = np.random.default_rng(1).uniform(1, 1000, (10, 96))
    data = spectrogram(values, mode=2)
    order = np.random.default_rng(2).permutation(96)
    turned = replace(data, energy=ENERGY[:, order], values=data.values[:, :, order])
    np.testing.assert_array_equal(draw(data).rgb, draw(turned).rgb)


def test_values_below_the_scale_are_grey_on_log_colours_and_clipped_on_linear_ones() -> None:
    values = np.array([30.0, 0, -5, 0.999, 1, np.nan, 1000, 1001])[:, None] * np.ones(48)
    cells = [place * CADENCE + CADENCE / 2 for place in range(len(values))]

    def colors(z_scale: str) -> list[tuple[int, ...]]:
        shown = draw(spectrogram(values), scales=("log", z_scale))
        columns = [int(np.abs(shown.time - T0 - cell).argmin()) for cell in cells]
        return [tuple(map(int, shown.rgb[100, column])) for column in columns]

    first, last = (
        tuple(np.round(np.array(mpl.colormaps["viridis"](e)[:3]) * 255)) for e in (0, 1.0)
    )
    on_log, on_linear = colors("log"), colors("linear")
    assert on_log[1:4] == [UNDER] * 3
    assert on_linear[1:4] == [first] * 3
    for drawn in (on_log, on_linear):
        assert drawn[0] not in (WHITE, UNDER)
        assert drawn[4:] == [first, WHITE, last, last]


@pytest.mark.parametrize("y_scale", ["linear", "log"])
@pytest.mark.parametrize(("z_scale", "map"), [("linear", "plasma"), ("log", "inferno")])
def test_the_picture_agrees_with_matplotlib(y_scale: str, z_scale: str, map: str) -> None:
    rng = np.random.default_rng(7)
    values = 10 ** rng.uniform(-1, 4, (60, 48))
    values[rng.random(values.shape) < 0.1] = np.nan
    values[rng.random(values.shape) < 0.05] = 0
    data = spectrogram(values)
    shown = draw(data, scales=(y_scale, z_scale), style=style(200, (9.0, 5.0), map))
    x = T0 + np.arange(61) * CADENCE
    y = channel_edges(FAST_TABLE)
    reference = _by_matplotlib(shown, x, y, data.values[0, :, 47::-1].T, map)
    near = 1.0
    row = np.abs(np.subtract.outer(_rows(shown, shown.energy), _rows(shown, y))).min(axis=1) > near
    width = len(shown.time) / (x[-1] - x[0])
    column = np.abs(np.subtract.outer(shown.time, x)).min(axis=1) * width > near
    inside = row[:, None] & column[None, :]
    assert inside.mean() > 0.5
    difference = np.abs(shown.rgb.astype(int) - reference.astype(int)).max(axis=2)
    assert difference[inside].max() <= 2


def _rows(shown: Data, energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Energies in pixels of the axis."""
    (e0, e1), rows = shown.entry["energy"], len(shown.energy)
    if shown.entry["y_scale"] == "log":
        return np.asarray(np.log(energy / e0) / np.log(e1 / e0) * rows)
    return np.asarray((energy - e0) / (e1 - e0) * rows)


def _by_matplotlib(
    shown: Data, x: NDArray[Any], y: NDArray[Any], values: NDArray[Any], map: str
) -> NDArray[np.uint8]:
    """(row, column, rgb) of the same data area, drawn by pcolormesh."""
    rows, columns = shown.rgb.shape[:2]
    figure = Figure(figsize=(columns / 100, rows / 100), dpi=100)
    canvas: Any = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    z0, z1 = shown.entry["z"]
    norm = LogNorm(z0, z1) if shown.entry["z_scale"] == "log" else Normalize(z0, z1)
    axes.set_yscale(shown.entry["y_scale"])
    colors = mpl.colormaps[map]
    if shown.entry["z_scale"] == "log":
        colors = colors.with_extremes(under="#d0d0d0")
        values = np.where(values <= 0, 1e-9, values)  # LogNorm masks them
    axes.pcolormesh(x - x[0], y, values, norm=norm, cmap=colors, shading="flat", antialiased=False)
    axes.set_xlim(shown.entry["time"][0] - x[0], shown.entry["time"][1] - x[0])
    axes.set_ylim(*shown.entry["energy"])
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3]


@pytest.mark.parametrize(
    "name", ["viridis", "cividis", "plasma", "inferno", "jet", "turbo", "hsv", "gray", "tab10"]
)
def test_the_palette_is_close_to_the_colour_map(name: str) -> None:
    table = mpl.colormaps[name]
    exact = np.round(np.asarray(table(np.arange(table.N)))[:, :3] * 255)
    palette = palette_of(name)
    drawn = palette.rgb[palette.index].astype(float)
    assert len(palette.index) == table.N
    # All of hsv's 256 colours differ by 6 from the next: sharing one costs 3.
    assert np.abs(drawn - exact).max() <= (3 if name == "hsv" else 2)
    assert (palette.index >= FIRST_COLOR).all() and palette.rgb[BLACK].tolist() == [0, 0, 0]
