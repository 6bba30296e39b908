"""What a figure tells besides its data: axes, words, events, metadata; and that it always does."""

from __future__ import annotations

import gc
import io
import itertools
import re
import tracemalloc
import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from spectro_mpi.draw.canvas import Canvas
from spectro_mpi.draw.figure import Event, FigureContent, Painter, Panel
from spectro_mpi.draw.layout import Box
from spectro_mpi.draw.palette import FIRST_MARKER, palette_of
from spectro_mpi.draw.scale import Scale, usable_scale
from spectro_mpi.draw.text import Lettering
from spectro_mpi.draw.ticks import time_ticks, value_ticks
from spectro_mpi.model.extrema import Limits
from tests.draw.same_bytes import figures_in_many_orders
from tests.draw.test_pixels import CADENCE, ENERGY, LIMITS, T0, content, read, spectrogram, style

NAN = float("nan")
ARC = 10 ** np.add.outer(np.sin(np.arange(400) / 25), np.cos(np.arange(48) / 9) + 1)


def picture(png: bytes) -> NDArray[np.uint8]:
    """(row, column, rgb)"""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def four_rows(**changes: Any) -> FigureContent:
    data = spectrogram(ARC)
    return replace(content(data, data, data, data), **changes)


def test_the_text_chunk_tells_how_to_read_the_picture() -> None:
    first, second = spectrogram(ARC), spectrogram(ARC[:100])
    png = Painter().draw(content(first, second), style())
    panels, described = read(png)
    assert described["item"] == "13312"
    assert described["kind"] == "pitch-angle"
    assert described["limits"] == "given_extrema"
    assert described["sources"] == [first.source, second.source]
    assert described["version"]
    assert [panel.entry["label"] for panel in panels] == ["row 0", "row 1"]
    for panel in panels:
        assert panel.entry["time"] == pytest.approx([T0, T0 + 400 * CADENCE])
        assert panel.entry["energy"] == [5.0, 34000.0]
        assert panel.entry["z"] == [1.0, 1000.0]
        assert (panel.entry["y_scale"], panel.entry["z_scale"]) == ("log", "log")
        assert panel.entry["colormap"] == "viridis"


def test_a_figure_is_as_large_as_the_style_says_and_tells_its_dpi() -> None:
    image = Image.open(io.BytesIO(Painter().draw(four_rows(), style(120, (10.0, 2.5)))))
    assert image.size == (1200, 4 * 300)
    assert image.info["dpi"] == pytest.approx((120, 120), abs=0.1)
    assert image.mode == "P"


def test_lines_stand_outside_of_the_data_area() -> None:
    panels, _ = read(Painter().draw(content(spectrogram(np.full((50, 48), 30.0))), style()))
    assert len(np.unique(panels[0].rgb.reshape(-1, 3), axis=0)) == 1
    left, top, right, bottom = panels[0].entry["box"]
    image = picture(Painter().draw(content(spectrogram(np.full((50, 48), 30.0))), style()))
    for row, column in ((top - 1, left), (bottom, right - 1), (top, left - 1), (top, right)):
        assert image[row, column].tolist() == [0, 0, 0]


def test_the_same_content_gives_the_same_bytes_whatever_was_drawn_before() -> None:
    used = Painter()
    used.draw(four_rows(title="another", limits="raw", events=(Event(T0, T0 + 60),)), style())
    used.draw(replace(content(spectrogram(ARC)), title="a third"), style(150))
    assert used.draw(four_rows(), style()) == Painter().draw(four_rows(), style())
    assert used.draw(four_rows(), style()) == used.draw(four_rows(), style())


def test_500_figures_in_many_orders_are_the_same_bytes() -> None:
    assert len(figures_in_many_orders(500)) == 1


def test_a_user_matplotlibrc_changes_nothing() -> None:
    import matplotlib as mpl

    plain = Painter().draw(four_rows(), style())
    changed: Any = {"mathtext.fontset": "cm", "axes.unicode_minus": False, "font.size": 20.0}
    with mpl.rc_context(changed):
        assert Painter().draw(four_rows(), style()) == plain


def test_users_words_are_drawn_as_themselves() -> None:
    label, size = r"$x_1$ ^\alpha_ 100%", 40.0
    figure = Figure(figsize=(8, 1), dpi=72)
    canvas: Any = FigureCanvasAgg(figure)
    figure.text(0.1, 0.5, label, fontsize=size, parse_math=False, family="DejaVu Sans")
    canvas.draw()
    ink = np.asarray(canvas.buffer_rgba())[:, :, 0] < 250
    expected = (np.ptp(np.flatnonzero(ink.any(axis=1))), np.ptp(np.flatnonzero(ink.any(axis=0))))
    stamp = Lettering().stamp(label, size)
    # Hinting differs by a pixel or two; read as mathematics the label is 100 pixels narrower.
    assert (stamp.height - 1, stamp.width - 1) == pytest.approx(expected, abs=6)
    data = spectrogram(ARC)
    strange = Panel(label, data, 0, LIMITS, r"$\frac{1}{")
    plain = replace(strange, label="", z_label="")
    drawn, empty = (
        picture(Painter().draw(replace(content(), panels=(panel,), title=""), style()))
        for panel in (strange, plain)
    )
    assert (drawn != empty).any()


def test_notes_and_the_time_span_are_shown() -> None:
    plain, noted = four_rows(), four_rows(notes=("eeb: no file",))
    painter = Painter()
    assert painter.draw(plain, style()) != painter.draw(noted, style())
    later = spectrogram(ARC, time=T0 + 86400 + np.arange(400) * CADENCE)
    assert painter.draw(content(later), style()) != painter.draw(content(spectrogram(ARC)), style())


STRANGE_LIMITS = [
    Limits(5.0, 5.0, 7.0, 7.0),
    Limits(0.0, 0.0, 0.0, 0.0),
    Limits(500.0, 5.0, 9.0, 1.0),
    Limits(-3.0, -1.0, -5.0, -5.0),
    Limits(NAN, float("inf"), NAN, NAN),
    Limits(0.0, 34000.0, 0.0, 100.0),
    Limits(1e-38, 3e38, 1e-38, 3e38),
    Limits(1000.0, 1000.0000001, 5.0, 5.0000001),
]


@pytest.mark.parametrize("scales", [("log", "log"), ("linear", "linear")])
@pytest.mark.parametrize("limits", STRANGE_LIMITS)
def test_strange_limits_give_an_axis_that_rises(limits: Limits, scales: tuple[str, str]) -> None:
    panels, _ = read(
        Painter().draw(content(spectrogram(ARC), scales=scales, limits=limits), style())
    )
    for name, scale in (("energy", "y_scale"), ("z", "z_scale")):
        low, high = panels[0].entry[name]
        assert low < high
        assert low > 0 or panels[0].entry[scale] == "linear"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (spectrogram(np.full((5, 48), np.nan)), "no valid data"),
        (spectrogram(np.zeros((0, 48))), "no valid data"),
        (spectrogram(ARC[:5], time=np.full(5, np.nan)), "no valid data"),
        (replace(spectrogram(ARC[:5]), energy=np.full((3, 96), np.nan, np.float32)), "no data"),
        (replace(spectrogram(ARC[:5]), energy=ENERGY / 1e4), "no data within these axes"),
    ],
)
def test_a_panel_with_nothing_to_show_says_so(data: Any, words: str) -> None:
    panels, described = read(Painter().draw(content(data), style()))
    assert panels[0].entry["note"].startswith(words)
    assert (~panels[0].blank).any()
    if not len(data.time) or np.isnan(data.time).all():
        assert described["panels"][0]["time"] == [None, None]


@pytest.mark.parametrize("time", [[T0] * 5, [T0, T0, T0, T0, T0 + 1e-6], [T0, 0, 0, T0, 1e9]])
def test_odd_times_are_drawn(time: list[float]) -> None:
    data = spectrogram(np.full((5, 48), 30.0), time=np.array(time, float))
    panels, _ = read(Painter().draw(content(data), style()))
    assert panels[0].entry["time"][0] < panels[0].entry["time"][1]
    assert not panels[0].blank.all()


def test_a_figure_without_panels_is_drawn() -> None:
    painter = Painter()
    png = painter.draw(replace(content(), notes=("ees: no file",)), style())
    assert read(png)[0] == []


EVENT = Event(T0 + 200, T0 + 260, "cusp")


def test_an_event_is_marked_by_lines_and_zoomed_in_panels_of_its_own() -> None:
    png = Painter().draw(replace(content(spectrogram(ARC)), events=(EVENT,)), style())
    panels, described = read(png)
    assert picture(png).shape[1] == 2 * 900
    assert [panel.entry["label"] for panel in panels] == ["row 0", "row 0 (zoom)"]
    assert panels[1].entry["time"] == pytest.approx([T0 + 230 - 187.5, T0 + 230 + 187.5])
    for panel in panels:
        marked = (panel.rgb == described["events"][0]["color"]).all(axis=2)
        at = panel.time[marked.any(axis=0)]
        width = panel.time[1] - panel.time[0]
        assert all(np.abs(at - end).min() < 2 * width for end in (EVENT.start, EVENT.end))
        assert all(min(abs(t - EVENT.start), abs(t - EVENT.end)) < 2 * width for t in at)
        assert 0.3 < marked.any(axis=1).mean() < 0.8  # dashed


def test_an_event_leaves_all_other_pixels_alone() -> None:
    at_edge = Event(T0 - 500, T0, "cusp")
    plain, marked = (
        replace(content(spectrogram(ARC)), events=(event,)) for event in (at_edge, EVENT)
    )
    without, _ = read(Painter().draw(plain, style()))
    with_lines, described = read(Painter().draw(marked, style()))
    line = (with_lines[0].rgb == described["events"][0]["color"]).all(axis=2)
    assert 0 < line.any(axis=0).sum() <= 8
    line[:, :4] = True  # the line of the other event
    np.testing.assert_array_equal(without[0].rgb[~line], with_lines[0].rgb[~line])


def test_a_long_event_widens_its_zoom_and_one_beside_the_data_has_none() -> None:
    long = Event(T0 + 100, T0 + 700)
    panels, _ = read(Painter().draw(replace(content(spectrogram(ARC)), events=(long,)), style()))
    assert panels[1].entry["time"] == pytest.approx([T0 + 400 - 450, T0 + 400 + 450])
    for beside in (Event(T0 - 500, T0 - 400), Event(T0 + 5000, T0 + 5100), Event(NAN, T0)):
        png = Painter().draw(replace(content(spectrogram(ARC)), events=(beside,)), style())
        assert len(read(png)[0]) == 1


SIZES = [
    (40, (3.0, 1.0)),
    (40, (12.0, 3.0)),
    (40, (50.0, 50.0)),
    (72, (3.0, 6.0)),
    (100, (50.0, 1.0)),
    (200, (12.0, 3.0)),
    (300, (4.0, 1.2)),
    (1200, (3.0, 1.0)),
]


@pytest.mark.parametrize(("dpi", "size"), SIZES)
@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("scales", [("log", "log"), ("linear", "linear")])
def test_words_overlap_nothing_and_are_not_cut_off(
    dpi: int, size: tuple[float, float], rows: int, scales: tuple[str, str]
) -> None:
    data = spectrogram(ARC, time=T0 + 86400 * 0.96 + np.arange(400) * CADENCE)
    limits = LIMITS if scales[0] == "log" else Limits(0.0, 34000.0, 0.0, 1.2e6)
    full = replace(
        content(*[data] * rows, scales=scales, limits=limits),
        title="Orbit 13312 · FAST ESA electron survey (ees)",
        notes=("eeb: no file", "ieb: the file is damaged at byte 31415 and was left out"),
        events=(Event(T0 + 86400 * 0.96 + 300, T0 + 86400 * 0.96 + 360, "cusp"),),
    )
    for shown in (full, replace(full, events=(), notes=())):
        canvas, described = Painter().compose(shown, style(dpi, size))
        _assert_words_are_whole(canvas, [Box(*p["box"]) for p in described["panels"]])


def _assert_words_are_whole(canvas: Canvas, data: list[Box]) -> None:
    rows, columns = canvas.image.shape
    words = [box for box in canvas.stamped if box.width > 0]
    assert len(words) > 5
    for box in words:
        assert box.left >= 0 and box.top >= 0 and box.right <= columns and box.bottom <= rows
    for one, other in itertools.chain(
        itertools.combinations(words, 2), itertools.product(words, data)
    ):
        apart = (
            one.right <= other.left
            or other.right <= one.left
            or one.bottom <= other.top
            or other.bottom <= one.top
        )
        assert apart, (one, other)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (5, 40000),
        (100, 900),
        (20, 95),
        (1000, 1100),
        (1e-4, 1e9),
        (3, 27),
        (0.65, 1.9),
        (0.4, 1.99),
    ],
)
@pytest.mark.parametrize("kind", ["linear", "log"])
def test_every_axis_has_labels_that_tell_its_values(kind: str, low: float, high: float) -> None:
    scale = usable_scale(kind, low, high)
    ticks = value_ticks(scale, 0.1)
    assert len(ticks.major) >= 3
    places = scale.fraction(ticks.major)
    assert -1e-6 <= places.min() <= 0.35
    assert 0.65 <= places.max() <= 1 + 1e-6
    assert np.diff(places).min() >= 0.1
    assert len(set(ticks.labels)) == len(ticks.labels)
    for value, label in zip(ticks.major, ticks.labels, strict=True):
        assert _number(label) == pytest.approx(value, rel=1e-3)


def test_labels_of_large_values_have_no_more_digits_than_their_tick() -> None:
    scale = usable_scale("linear", 0.0, 1.6e8)
    labels = value_ticks(scale, 0.2).labels
    assert [_number(label) for label in labels] == [0, 5e7, 1e8, 1.5e8]
    factors = [label.replace("$\\mathdefault{", "").split("10^")[0] for label in labels]
    assert factors == ["0", "5 \\times ", "", "1.5 \\times "]


def _number(label: str) -> float:
    bare = label.replace("$", "").replace("\\mathdefault", "").replace(" ", "").replace("−", "-")
    factor, times, power = bare.strip("{}").replace("{", "").rpartition("10^")
    if not times:
        return float(power)
    return float(factor.replace("\\times", "") or 1) * 10.0 ** int(power)


@pytest.mark.parametrize("span", [1e-5, 0.3, 7.0, 60.0, 400.0, 7980.0, 50_000.0, 1e6, 1e9])
def test_every_time_axis_has_ticks_at_round_times(span: float) -> None:
    ticks = time_ticks(T0 + 0.1, T0 + 0.1 + span, 80.0)
    assert 3 <= len(ticks.major) <= 13
    steps = np.diff(ticks.major)
    np.testing.assert_allclose(steps, steps[0], rtol=0.2)
    assert len(set(ticks.labels)) == len(ticks.labels) or span > 60
    if 60 < span < 80_000:
        assert all(len(label) == 5 for label in ticks.labels)


def test_midnight_is_dated() -> None:
    ticks = time_ticks(946764000.0, 946771980.0, 100.0)  # 2000-01-01 22:00 and 133 minutes
    assert ticks.dates[ticks.labels.index("00:00")] == "2000-01-02"
    assert sum(map(bool, ticks.dates)) == 1


def test_the_marker_is_unlike_every_colour_of_the_map() -> None:
    for name in ("viridis", "cividis", "plasma", "inferno", "jet", "gray"):
        palette = palette_of(name)
        others = palette.rgb[:FIRST_MARKER].astype(int)
        assert np.abs(others - palette.rgb[FIRST_MARKER]).sum(axis=1).min() > 60


def test_files_are_smaller_than_matplotlibs() -> None:
    rng = np.random.default_rng(4)
    noisy = rng.poisson(np.clip(ARC, 0, 1e4)).astype(float)
    ours = Painter().draw(content(spectrogram(noisy)), style())
    figure = Figure(figsize=(9, 3), dpi=100)
    axes = figure.add_subplot()
    axes.set_yscale("log")
    edges = np.geomspace(5, 34000, 49)
    mesh = axes.pcolormesh(np.arange(401), edges, noisy.T, norm="log")
    figure.colorbar(mesh)
    theirs = io.BytesIO()
    figure.savefig(theirs, format="png")
    assert len(ours) < len(theirs.getvalue())


def test_a_painter_does_not_keep_spectrograms_alive() -> None:
    painter = Painter()
    data = spectrogram(ARC)
    painter.draw(content(data), style())
    ref = weakref.ref(data)
    del data
    gc.collect()
    assert ref() is None


@pytest.mark.slow
def test_a_painter_keeps_no_more_after_many_figures() -> None:
    painter = Painter()
    small = style(60, (5.0, 1.5))

    def draw_some(first: int) -> int:
        for number in range(first, first + 60):
            data = spectrogram(ARC[:50], time=T0 + 8000.0 * number + np.arange(50) * CADENCE)
            shown = content(data, limits=Limits(5.0, 1000.0 + number, 1.0, 500.0))
            painter.draw(replace(shown, title=f"Orbit {number}", limits="raw"), small)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    before = draw_some(0)
    grown = draw_some(60) - before
    tracemalloc.stop()
    # Stamps of letters, which are kept up to a limit.
    assert grown < 2_000_000


@pytest.mark.parametrize(
    ("span", "step", "fine"),
    [
        (55 * 60, 300, 60),
        (20.0, 2, 0.5),
        (6 * 3600, 1800, 300),
        (86400.0, 7200, 1800),
        (5 * 86400.0, 43200, 10800),
    ],
)
def test_minor_ticks_of_time_are_round_and_between_the_others(
    span: float, step: float, fine: float
) -> None:
    begin = 1e9 + 17.3
    ticks = time_ticks(begin, begin + span, 80.0)
    assert np.diff(ticks.major) == pytest.approx(step)
    assert not set(ticks.minor) & set(ticks.major)
    both = sorted([*ticks.major, *ticks.minor])
    assert np.diff(both) == pytest.approx(fine)
    assert begin <= both[0] < begin + fine
    assert begin + span - fine < both[-1] <= begin + span


def test_minor_ticks_of_a_linear_axis_are_round_and_reach_its_ends() -> None:
    ticks = value_ticks(Scale("linear", -3.3, 7.1), 0.15)
    assert ticks.major == (-2, 0, 2, 4, 6)
    assert ticks.minor[:3] == (-3.0, -2.5, -1.5)
    assert ticks.minor[-1] == 7.0
    fives = value_ticks(Scale("linear", 0.0, 20000.0), 0.15)
    assert np.diff(sorted((*fives.major, *fives.minor))) == pytest.approx(1000)


@pytest.mark.parametrize("hours", [0.2, 1.5, 5, 30, 80])
@pytest.mark.parametrize("start", [0.0, 86400 - 120.0, 43200.0])
def test_a_date_under_the_axis_always_has_utc(
    hours: float, start: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    stamp = Lettering.stamp

    def noted(self: Lettering, text: str, size: float, math_text: bool = False) -> Any:
        written.append(text)
        return stamp(self, text, size, math_text)

    monkeypatch.setattr(Lettering, "stamp", noted)
    time = 10_000 * 86400.0 + start + np.linspace(0, hours * 3600, 50)
    Painter().draw(content(spectrogram(np.ones((50, 48)), time)), style())
    dates = [text for text in written if re.fullmatch(r"\d{4}-\d\d-\d\d( UTC)?", text)]
    assert dates
    assert all(text.endswith(" UTC") for text in dates)
