"""Parameters that people know from other tools: each has the effect that docs/drawing.md says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import spectro_mpi
from spectro_mpi.api.axes import ROW_KEYS, make_spectrogram, plot_spectrogram_set
from spectro_mpi.rundir.reader import Run

T0 = 946684800.0
TIME = T0 + np.arange(120.0) * 10  # twenty minutes
ENERGY = np.geomspace(10, 1e4, 12)
CUBE = np.random.default_rng(4).uniform(1, 100, (120, 5, 12))
DOCS = Path(__file__).parents[2] / "docs" / "drawing.md"


def draw(**arguments: Any) -> Axes:
    return make_spectrogram(TIME, ENERGY, CUBE, **{"axis": 1, "colorbar": False, **arguments})


def shown(ax: Axes) -> Any:
    """The values of a mesh, (channel, record), without the gaps between cells."""
    mesh: Any = ax.collections[0]
    return np.ma.filled(mesh.get_array(), np.nan)[::2, ::2]


def span(ax: Axes) -> list[float]:
    """The x limits, s since 1970 UTC."""
    return [86400 * day for day in ax.get_xlim()]


def lines(ax: Axes) -> set[float]:
    """The x of vertical lines, s since 1970 UTC."""
    found = [line.get_xdata() for line in ax.lines]
    return {round(86400 * float(x[0])) for x in found}  # type: ignore[index, arg-type]


@pytest.mark.parametrize(("how", "of"), [("sum", np.sum), ("mean", np.mean)])
def test_a_cube_is_collapsed_along_an_axis(how: str, of: Any) -> None:
    np.testing.assert_allclose(shown(draw(collapse=how)).T, of(CUBE, axis=1), rtol=1e-6)
    turned = make_spectrogram(TIME, ENERGY, CUBE.swapaxes(0, 1), axis=0, collapse=how)
    np.testing.assert_allclose(shown(turned).T, of(CUBE, axis=1), rtol=1e-6)


def test_x_limits_are_kept() -> None:
    first = datetime(2000, 1, 1, 0, 5, tzinfo=timezone.utc)
    ax = draw(x_min=first, x_max=np.datetime64("2000-01-01T00:10"))
    assert span(ax) == pytest.approx([T0 + 300, T0 + 600], abs=1e-3)
    assert span(draw(x_min=T0 + 60))[0] == pytest.approx(T0 + 60, abs=1e-3)
    assert span(draw(center=T0 + 500, width=100)) == pytest.approx([T0 + 450, T0 + 550], abs=1e-3)
    with pytest.raises(ValueError, match="width = 0 is not above 0"):
        make_spectrogram(TIME, ENERGY, CUBE[:, 0], center=T0 + 60, width=0)
    with pytest.raises(ValueError, match="x_min is not below x_max"):
        draw(x_min=T0 + 60, x_max=T0)
    with pytest.raises(ValueError, match="give both or none"):
        draw(center=T0)


def test_x_need_not_be_time() -> None:
    latitude = np.linspace(60, 80, 120)
    ax = make_spectrogram(
        latitude, ENERGY, CUBE[:, 0], x_is_time=False, x_label="ILAT (°)", events=[70.0]
    )
    assert ax.get_xlim() == pytest.approx((60 - 10 / 119, 80 + 10 / 119))
    assert ax.get_xlabel() == "ILAT (°)"
    assert float(ax.lines[0].get_xdata()[0]) == 70.0  # type: ignore[index, arg-type]
    np.testing.assert_allclose(shown(ax).T, CUBE[:, 0], rtol=1e-6)
    far = np.concatenate([latitude, [1e9]])  # a time so far away would be left out as stray
    wide = make_spectrogram(far, ENERGY, np.ones((121, 12)), x_is_time=False)
    assert wide.get_xlim()[1] > 1e9 - 1
    with pytest.raises(ValueError, match="expected numbers, since x is no time"):
        make_spectrogram(np.array(["2000"], "M8[s]"), ENERGY, CUBE[:1, 0], x_is_time=False)


def test_events_are_lines_with_labels() -> None:
    ax = draw(events=[T0 + 100, (T0 + 300, T0 + 400), (T0 + 500, T0 + 600, "cusp"), T0 + 9e4])
    assert lines(ax) == {T0 + x for x in (100, 300, 400, 500, 600)}
    assert [text.get_text() for text in ax.texts] == ["cusp"]
    colors = {line.get_color() for line in ax.lines} - {"black"}
    assert len(colors) == 2  # with and without a label
    with pytest.raises(ValueError, match="expected a time"):
        draw(events=[(T0, T0, "a", "b")])


def test_vmin_and_vmax_override_z_limits() -> None:
    ax = draw(z_min=1, z_max=50, vmin=2.0, vmax=40.0)
    norm = ax.collections[0].norm
    assert (norm.vmin, norm.vmax) == (2.0, 40.0)


def rows(**own: Any) -> list[dict[str, Any]]:
    row = {"x": TIME, "y": ENERGY, "data": CUBE}
    return [row | {"label": "first"}, row | own]


def panels(figure: Figure) -> list[Axes]:
    return [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]


def test_limits_of_the_figure_are_those_of_rows_without_their_own() -> None:
    own = {"y_min": 20.0, "y_max": 5e3, "vmin": 3.0, "vmax": 30.0}
    wide: dict[str, Any] = {"y_min": 15.0, "y_max": 8e3, "z_min": 5.0, "z_max": 60.0}
    first, second = panels(plot_spectrogram_set(rows(**own), axis=1, **wide))
    for ax, limits in ((first, (15.0, 8e3, 5.0, 60.0)), (second, (20.0, 5e3, 3.0, 30.0))):
        norm = ax.collections[0].norm
        assert (*ax.get_ylim(), norm.vmin, norm.vmax) == pytest.approx(limits)


def test_a_zoom_column_shows_the_first_event() -> None:
    event = (T0 + 300, T0 + 420, "cusp")
    figure = plot_spectrogram_set(rows(), axis=1, events=[event], zoom_minutes=2.5)
    spans = [span(ax) for ax in panels(figure)]
    assert len(spans) == 4
    assert spans[1] == spans[3] == pytest.approx([T0 + 360 - 90, T0 + 360 + 90], abs=1e-3)
    assert spans[0] == pytest.approx([T0 - 5, T0 + 1195], abs=1e-3)
    assert all(lines(ax) >= {T0 + 300, T0 + 420} for ax in panels(figure))
    long = plot_spectrogram_set(rows(), axis=1, events=[(T0, T0 + 400)], zoom_minutes=2.5)
    assert np.diff(span(panels(long)[1])) == pytest.approx(600, abs=1e-3)
    beside = plot_spectrogram_set(rows(), axis=1, events=[T0 + 1e5], zoom_minutes=2.5)
    assert len(panels(beside)) == 2


def test_x_of_all_rows() -> None:
    figure = plot_spectrogram_set(
        rows(), axis=1, collapse="sum", x_label="Time (UTC)", x_min=T0 + 60, x_max=T0 + 120
    )
    for ax in panels(figure):
        assert span(ax) == pytest.approx([T0 + 60, T0 + 120], abs=1e-3)
    assert [ax.get_xlabel() for ax in panels(figure)] == ["", "Time (UTC)"]
    numbers = [{**row, "x": np.arange(120.0)} for row in rows(x_label="number")]
    figure = plot_spectrogram_set(numbers, axis=1, x_is_time=False, center=50.0, width=20.0)
    assert panels(figure)[0].get_xlim() == (40.0, 60.0)
    assert panels(figure)[1].get_xlabel() == "number"


def test_labels_of_rows() -> None:
    words = {"label": "ions", "y_label": "Frequency (Hz)", "z_label": "Power (dB)"}
    figure = plot_spectrogram_set(
        rows(**words), axis=1, colormap="magma", gap_factor=3.0, title="All"
    )
    second = panels(figure)[1]
    assert second.get_title(loc="left") == "ions"
    assert second.get_ylabel() == "Frequency (Hz)"
    assert [ax.get_ylabel() for ax in figure.axes if ax not in panels(figure)][1] == "Power (dB)"
    second_mesh: Any = second.collections[0]
    assert second_mesh.cmap.name == "magma"


def test_no_title_is_cut_off() -> None:
    text = "FAST ESA, orbit 13312, and everything else that belongs in this title: " + "long " * 20
    figure = plot_spectrogram_set(
        rows(label=text), axis=1, title=text, panel_size=(4.0, 2.0), dpi=60
    )
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts: list[Any] = [figure._suptitle, panels(figure)[1]._left_title]  # type: ignore[attr-defined]
    for title in texts:
        box = title.get_window_extent(renderer)
        assert title.get_text().replace("\n", " ") == text.strip()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1


def test_items_of_a_batch_have_their_events_and_centres(tmp_path: Path) -> None:
    def seen(item: int) -> list[float]:
        (tmp_path / f"asked-{item}").touch()
        return [T0 + 60.0]

    run = spectro_mpi.batch_plot(
        items=[1],
        output_dir=tmp_path / "out",
        load_rows=lambda item: [{"x": TIME, "y": ENERGY, "data": CUBE[:, 0]}],
        events=seen,
        center=lambda item: T0 + 100,
        width=50.0,
        zoom_minutes=1.0,
        dpi=40,
        max_workers=1,
        flush_batch_size=1,
        ignore_progress=True,
        show_progress=False,
    )
    assert run.errors == {} and (tmp_path / "asked-1").exists()


@pytest.mark.parametrize("name", ["ignore_progress", "ignore_progress_json"])
def test_a_word_does_not_start_over(tmp_path: Path, name: str) -> None:
    arguments: dict[str, Any] = {name: "no"}
    with pytest.raises(spectro_mpi.UserError, match="ignore_progress = 'no': expected True or"):
        spectro_mpi.plot_directory(tmp_path, tmp_path / "run", **arguments)


def test_arguments_of_another_type_are_reported_by_name(tmp_path: Path) -> None:
    make: Any = spectro_mpi.create_stacks
    find: Any = spectro_mpi.collect_items
    plot: Any = spectro_mpi.plot_directory
    both = {"ignore_progress": True, "ignore_progress_json": False}
    calls: list[tuple[str, Callable[[], Any]]] = [
        ("workers = 'x': expected a whole", lambda: make([], "x")),
        ("workers = 2.5: expected a whole", lambda: make([], 2.5)),
        ("directory = 5: expected a path", lambda: find(5)),
        ("output = 7: expected a path", lambda: plot(tmp_path, 7)),
        ("ignore_progress and ignore_progress_json mean", lambda: plot(tmp_path, **both)),
    ]
    for told, call in calls:
        with pytest.raises(spectro_mpi.UserError, match=told):
            call()


def test_a_figure_of_a_run_is_one_of_matplotlib(sampled: Path) -> None:
    run = spectro_mpi.open_run(sampled)
    figure = run.figure("13312", "ees", limits="raw", panel_size=(3.4, 1.2))
    data = run.spectrogram("13312", "ees")
    axes = figure.axes[: len(data.category)]
    assert figure.get_size_inches() == pytest.approx([3.4, 1.2 * len(axes)], abs=0.01)
    for ax, category in zip(axes, data.category, strict=True):
        limits = run.limits("13312", "ees", category, "raw")
        assert limits is not None
        assert ax.get_ylim() == pytest.approx((limits.y_min, limits.y_max))
        assert ax.get_title(loc="left").startswith(category)
    begin, end = data.time.min(), data.time.max()
    part = run.figure("13312", span=(begin + 60, begin + 120)).axes[0]
    assert span(part) == pytest.approx([begin + 60, begin + 120], abs=1e-3)
    axes[0].axvline(end / 86400)
    with pytest.raises(KeyError, match="no instrument eeb"):
        run.figure("13312", "eeb")


def test_the_table_of_counterparts_names_what_there_is() -> None:
    """Every counterpart in the table is a parameter, a key of rows, a setting or an option."""
    table = DOCS.read_text().partition("## Counterparts")[2]
    functions: dict[str, Any] = {
        "make_spectrogram": make_spectrogram,
        "plot_spectrogram_set": plot_spectrogram_set,
        "batch_plot": spectro_mpi.batch_plot,
        "Run.figure": Run.figure,
    }
    known = {name: set(inspect.signature(call).parameters) for name, call in functions.items()}
    known["row"] = set(ROW_KEYS)
    source = Path(__file__).read_text() + Path(__file__).with_name("test_notebook.py").read_text()
    named = re.findall(r"`([\w.]+)\(([\w, ]+)\)`", table)
    assert len(named) > 25
    for call, parameters in named:
        for parameter in parameters.split(", "):
            assert parameter in known[call], (call, parameter)
            assert re.search(rf"\b{parameter}\b", source), parameter
