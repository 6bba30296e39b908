"""Figures of kind "summary": spectrograms, pitch angles and moments of an item on one page."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray
from PIL import Image

from spectro_mpi import open_run
from spectro_mpi.demo import DemoSummary
from spectro_mpi.draw.contents import content_of, style_of
from spectro_mpi.draw.figure import Painter
from spectro_mpi.draw.names import single_figure
from spectro_mpi.model.moments import Moments
from spectro_mpi.model.series import series_of
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.rundir.reader import Run
from spectro_mpi.settings.loading import load_config
from spectro_mpi.settings.schema import Config, SettingsError
from tests.conftest import NO_REPORT, spectro_mpi

DIRECTIONS = """
[pitch_angles]
downgoing = { toward = "earth", within = 30 }
upgoing = { away = "earth", within = 30 }
"""
ITEM = "13313"
"""It has data of electrons and of ions."""
FLUXES = {"JE∥ at 100 km net": "energy_flux_100km", "J∥ at 100 km net": "number_flux_100km"}


def settings_of(demo: DemoSummary, folder: Path, more: str = DIRECTIONS, plot: str = "") -> Path:
    settings = folder / "spectro-mpi.toml"
    settings.write_text(
        f'input = "{demo.directory / "FAST_data"}"\n{more}[data]\nquantity = "eflux"\n'
        f'[plot]\nkinds = ["summary"]\ndpi = 100\n{plot}{NO_REPORT}'
    )
    return settings


@pytest.fixture(scope="module")
def run(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("summary")
    select = '[select]\norbits = "13312-13313"\n'
    settings = settings_of(demo, folder, select + DIRECTIONS, 'formats = ["png", "svg"]\n')
    done = spectro_mpi("run", settings, "--no-progress")
    assert done.code == 0, done.err
    return open_run(folder / "runs" / "fast")


def opened(path: Path) -> tuple[NDArray[Any], Any]:
    """(row, column, rgb) and the description of a figure."""
    image: Any = Image.open(io.BytesIO(path.read_bytes()))
    return np.asarray(image.convert("RGB")), json.loads(image.text["spectro-mpi"])


def figure(run: Run, item: str, limits: str = "given_extrema") -> tuple[NDArray[Any], Any]:
    name = f"{item}_summary_ESA_y-log_z-log_{limits}-inferno.png"
    (path,) = (path for path in run.figures(item) if path.name == name)
    return opened(path)


def test_a_summary_has_the_panels_of_fast_in_their_order(run: Run) -> None:
    _, described = figure(run, ITEM)
    panels = [panel for panel in described["panels"] if "zoom" not in panel["label"]]
    assert [(panel["instrument"], panel["category"]) for panel in panels] == [
        *(("ees", category) for category in ("downgoing", "perpendicular", "upgoing")),
        *(("ees-angles", band) for band in ("100-1000", "1000-40000")),
        *(("ies", category) for category in ("downgoing", "perpendicular", "upgoing")),
        *(("ies-angles", band) for band in ("50-1000", "1000-30000")),
        ("ees-energy_flux_100km", "net"),
        ("ees-number_flux_100km", "net"),
        ("ees-potential", "all"),
    ]
    assert described["kind"] == "summary"
    assert len(described["sources"]) == 2
    assert "Fluxes: positive earthward" in described["notes"]
    assert "downgoing: within 30° of earthward" in described["notes"]
    assert "Line over energies: potential of the spacecraft" in described["notes"]
    tops = [panel["box"][1] for panel in panels]
    assert tops == sorted(tops)


def test_panels_with_lines_say_what_a_program_needs(run: Run) -> None:
    _, described = figure(run, ITEM)
    for panel in described["panels"]:
        if panel["label"] not in FLUXES:
            assert "lines" not in panel or panel["instrument"] == "ees-potential"
            continue
        name = FLUXES[panel["label"]]
        assert [line["instrument"] for line in panel["lines"]] == [f"ees-{name}", f"ies-{name}"]
        assert [line["label"] for line in panel["lines"]] == ["electron survey", "ion survey"]
        assert panel["y_scale"] == "symlog"
        assert panel["y"][0] < 0 < panel["threshold"] < panel["y"][1]
        assert "energy" not in panel
        assert "z" not in panel


def place(panel: Any, value: float) -> float:
    """The row of a value in a panel, by its description."""

    def decades(at: float) -> float:
        size = abs(at) / panel["threshold"]
        return float(np.copysign(1 + np.log10(size) if size > 1 else size, at))

    low, high = map(decades, panel["y"])
    top, bottom = int(panel["box"][1]), int(panel["box"][3])
    return bottom - (decades(value) - low) / (high - low) * (bottom - top)


def test_lines_are_where_the_moments_are(run: Run) -> None:
    image, described = figure(run, ITEM)
    panel = next(each for each in described["panels"] if each["label"] == "JE∥ at 100 km net")
    moments = run.moments(ITEM, "ees")
    values = moments["energy_flux_100km"][moments.directions.index("net")]
    left, top, right, bottom = panel["box"]
    begin, end = panel["time"]
    hits = []
    for record in range(5, len(values) - 5, 7):
        if not np.isfinite(values[record]):
            continue
        time = moments.time[record]
        column = left + int((time - begin) / (end - begin) * (right - left))
        dark = np.flatnonzero((image[top:bottom, column] < 130).all(axis=1)) + top
        away = np.abs(dark + 0.5 - place(panel, float(values[record])))
        hits.append(away.min(initial=np.inf) <= 1.5)
    assert len(hits) > 20
    assert np.mean(hits) > 0.95  # but for lines of events


def test_axes_of_lines_are_common_to_all_items(run: Run) -> None:
    values = np.concatenate(
        [run.moments(item, "ees")["energy_flux_100km"][2] for item in run.items]
    ).astype(np.float64)
    low, high = np.percentile(values[np.isfinite(values)], [0.1, 99.9])
    key = "ees-energy_flux_100km-net_log_log_y_"
    assert run.extrema[key + "min"] == pytest.approx(low, rel=2e-3)
    assert run.extrema[key + "max"] == pytest.approx(high, rel=2e-3)
    assert "ees-energy_flux_100km-net_log_log_z_max" not in run.extrema
    ends = [
        [panel["y"] for panel in figure(run, item)[1]["panels"] if "lines" in panel]
        for item in run.items
    ]
    assert ends[0] == ends[1]
    assert ends[0][0][1] >= high
    raw = figure(run, run.items[0], "raw")[1]["panels"]
    assert [panel["y"] for panel in raw if "lines" in panel] != ends[0]


def test_other_files_and_the_page_have_the_lines(run: Run) -> None:
    (png,) = (path for path in run.figures(ITEM) if "given_extrema" in path.name)
    assert "JE∥ at 100 km" in png.with_suffix(".svg").read_text()
    axes = run.figure(ITEM, kind="summary").axes
    assert axes[-1].get_yscale() == "log"  # a colour bar
    lines = [ax for ax in axes if ax.get_yscale() == "symlog"]
    assert len(lines) == 2
    legend = lines[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["electron survey", "ion survey"]
    script = next(path for path in (run.path / "report").rglob(f"{ITEM}*.js"))
    assert '"ees-energy_flux_100km"' in script.read_text()


def test_without_ephemeris_directions_are_along_the_field(
    demo: DemoSummary, tmp_path: Path
) -> None:
    more = '[select]\norbits = "13313"\n[ephemeris]\nfile = "none"\n'
    done = spectro_mpi("run", settings_of(demo, tmp_path, more), "--no-progress")
    assert done.code == 0, done.err
    run = open_run(tmp_path / "runs" / "fast")
    _, described = figure(run, "13313")
    shown = [panel["category"] for panel in described["panels"]][:3]
    assert shown == ["parallel", "perpendicular", "antiparallel"]
    (note,) = (note for note in described["notes"] if note.startswith("Shown instead"))
    assert "parallel for downgoing" in note
    assert "antiparallel for upgoing" in note
    assert "energy_flux for energy_flux_100km" in note
    assert "Fluxes: positive along B" in described["notes"]


def test_directions_without_ephemeris_are_named_with_the_reason(
    demo: DemoSummary, tmp_path: Path
) -> None:
    archive = demo.directory / "FAST_data"
    for path in archive.rglob("*_13313_*"):
        if "orb" not in path.name:
            (tmp_path / path.name).symlink_to(path)
    only = f"{DIRECTIONS}parallel = []\nantiparallel = []\n"
    settings = settings_of(demo, tmp_path, only)
    done = spectro_mpi("run", settings, "--no-progress", "-s", f'input="{tmp_path}"')
    assert done.code == 0, done.err
    _, described = figure(open_run(tmp_path / "runs" / "fast"), "13313")
    (note,) = (note for note in described["notes"] if note.startswith("No data"))
    assert "ees.downgoing (no ephemeris), ees.upgoing (no ephemeris)" in note


def test_what_an_item_lacks_is_left_out_and_named(demo: DemoSummary, tmp_path: Path) -> None:
    more = '[select]\norbits = "13313"\ninstruments = ["ees"]\n[moments]\ncompute = false\n'
    settings = settings_of(demo, tmp_path, more + DIRECTIONS)
    done = spectro_mpi("run", settings, "--no-progress")
    assert done.code == 0, done.err
    _, described = figure(open_run(tmp_path / "runs" / "fast"), "13313")
    assert {panel["instrument"] for panel in described["panels"]} == {"ees", "ees-angles"}
    (note,) = (note for note in described["notes"] if note.startswith("No data"))
    assert "ies (no file)" in note
    assert "ees energy_flux_100km (not in the data)" in note


def test_a_run_has_the_panels_of_its_settings(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "x.png"
    panels = '["ees.all", "ees-density + ies-density", "ees-energy_flux.up"]'
    setting = f"plot.summary={panels}"
    command = ("draw", run.path, ITEM, "--kind", "summary", "-o", target, "-s", setting)
    done = spectro_mpi(*command, "-s", 'axes."ees-density".y_max=1000')
    assert done.code == 0, done.err
    _, described = opened(target)
    labels = [panel["label"] for panel in described["panels"] if "zoom" not in panel["label"]]
    assert labels == ["electron survey: all", "Density", "electron survey: JE∥ up"]
    assert described["panels"][1]["y_scale"] == "log"
    assert described["panels"][1]["y"][1] == 1000


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ('plot.summary=["ees.dwngoing"]', "no pitch-angle category is called dwngoing"),
        ('plot.summary=["ess.all"]', "no instrument is called ess"),
        ('plot.summary=["ees-angles.1-2"]', "no band is called 1-2"),
        ('plot.summary=["ees-densty"]', "did you mean density?"),
        ('plot.summary=["ees-energy_flux.east"]', "no direction is called east"),
        ('plot.summary=["ees-density + ees-velocity"]', "cannot share the axis"),
        ('plot.summary=["ees.all + ies-potential"]', "only the potential of the same instrument"),
        ('plot.summary=["ees.all", "ees.all"]', "lists the same panel twice"),
        ('plot.summary=["ees-density.net"]', "density has no direction; leave out .net"),
        ('plot.summary=["ees"]', "lacks the name of a pitch-angle category; choose from"),
        ('plot.summary=["ees-angles"]', "lacks the name of a band; choose from 100-1000"),
        ('plot.summary=["ees-density + ees-density"]', "lists the same entry twice"),
        ('plot.summary=["ees.all", "ees.all "]', "lists the same panel twice"),
        ('plot.summary=[""]', "expected panels such as"),
        ('axes."ees-density".z_max=3', "a line has no colours"),
        ('axes."ees-density".y_min=0', "expected a value above 0"),
        ('plot.axes="spedas"', 'is for data.quantity = "eflux", not "counts"'),
    ],
)
def test_mistakes_are_named(tmp_path: Path, setting: str, words: str) -> None:
    settings = tmp_path / "spectro-mpi.toml"
    settings.write_text(f'input = "."\n{DIRECTIONS}')
    with pytest.raises(SettingsError, match=re.escape(words)):
        load_config(settings, (setting,))


def test_other_presets_have_no_panels_or_axes_of_fast(tmp_path: Path) -> None:
    text = (
        'input = "."\n[data]\npreset = "istp"\n[plot]\nkinds = ["summary"]\naxes = "spedas"\n'
        '[[instrument]]\nname = "p"\nfile = "p_{date}.cdf"\nvalue = "F"\n'
    )
    (tmp_path / "spectro-mpi.toml").write_text(text)
    with pytest.raises(SettingsError) as mistakes:
        load_config(tmp_path / "spectro-mpi.toml")
    assert '"summary" needs plot.summary' in str(mistakes.value)
    assert 'data.preset = "istp" has no such axes' in str(mistakes.value)


def test_fixed_axes_are_in_the_name_and_the_picture(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "x.png"
    command = ("draw", run.path, ITEM, "--kind", "summary", "-o", target)
    done = spectro_mpi(*command, "-s", 'plot.axes="spedas"')
    assert done.code == 0, done.err
    assert "limits spedas" in done.out
    _, described = opened(target)
    assert described["limits"] == "spedas"
    for panel in described["panels"]:
        if "lines" in panel:
            continue
        is_electrons = panel["instrument"].startswith("ees")
        assert panel["z"] == ([1e5, 1e9] if is_electrons else [1e4, 1e8])
        by_angle = panel["instrument"].endswith("-angles")
        assert panel["energy"] == ([0, 360] if by_angle else [5, 40_000])
    lines = [[panel["y"] for panel in figure(run, ITEM)[1]["panels"] if "lines" in panel]]
    assert [[panel["y"] for panel in described["panels"] if "lines" in panel]] == lines


def test_a_run_goes_over_to_fixed_axes_and_back(demo: DemoSummary, tmp_path: Path) -> None:
    more = f'[select]\norbits = "13313"\n{DIRECTIONS}'
    settings = settings_of(demo, tmp_path, more)
    assert spectro_mpi("run", settings, "--no-progress").code == 0
    run = open_run(tmp_path / "runs" / "fast")
    before = {path.name: path.read_bytes() for path in run.figures("13313")}
    done = spectro_mpi("run", settings, "--no-progress", "--prune", "-s", 'plot.axes="spedas"')
    assert done.code == 0, done.err
    names = {path.name.split("log_")[-1] for path in run.figures("13313")}
    assert names == {"spedas-inferno.png", "raw-inferno.png"}
    assert spectro_mpi("verify", run.path).code == 0
    done = spectro_mpi("run", settings, "--no-progress", "--prune")
    assert done.code == 0, done.err
    assert {path.name: path.read_bytes() for path in run.figures("13313")} == before
    panels = 'plot.summary=["ees.all", "ees-angles.100-1000"]'
    done = spectro_mpi("run", settings, "--no-progress", "-s", panels)
    assert done.code == 0, done.err
    assert {path.name: path.read_bytes() for path in run.figures("13313")}.keys() == before.keys()
    assert len(figure(run, "13313")[1]["panels"]) == 2


def with_potential(run: Run, volts: float) -> tuple[Config, dict[str, Spectrogram]]:
    data = run.spectrogram(ITEM, "ees")
    assert data.moments is not None
    values = {**data.moments.values, "potential": np.full(len(data.time), volts, np.float32)}
    moments = Moments(data.time, values, data.moments.positive, data.moments.plan)
    return run.config, {"ees": replace(data, moments=moments)}


@pytest.mark.parametrize("volts", [30.0, -30.0])
def test_the_potential_is_a_line_over_energies(run: Run, volts: float) -> None:
    config, shown = with_potential(run, volts)
    chosen = single_figure(config, tuple(shown), "summary")
    content = content_of(config, ITEM, shown, chosen, run.extrema)
    image: Any = Image.open(
        io.BytesIO(Painter().draw(content, style_of(config.plot, chosen.scales, chosen.kind)))
    )
    described = json.loads(image.text["spectro-mpi"])
    first, last = described["panels"][0], described["panels"][-1]
    assert (last["instrument"], last["y_scale"]) == ("ees-potential", "linear")
    assert first.get("curves", 0) == int(volts > 0)
    assert ("Line over energies: potential of the spacecraft" in described["notes"]) == (volts > 0)
    left, top, right, bottom = first["box"]
    low, high = np.log10(first["energy"])
    row = round(bottom - (np.log10(30.0) - low) / (high - low) * (bottom - top))
    pixels = np.asarray(image.convert("RGB"))[row - 1 : row + 1, left:right]
    white = (pixels == 255).all(axis=2).any(axis=0).mean()
    assert (white > 0.9) == (volts > 0)


def test_a_potential_that_is_not_known_is_said(run: Run) -> None:
    config, shown = with_potential(run, np.nan)
    chosen = single_figure(config, tuple(shown), "summary")
    content = content_of(config, ITEM, shown, chosen, run.extrema)
    assert any(note.startswith("No data: ") and "ees-potential" in note for note in content.notes)
    assert all(panel.spectrogram.instrument != "ees-potential" for panel in content.panels)


def test_on_matplotlib_axes_ticks_and_names_of_lines_have_room(run: Run) -> None:
    figure = run.figure(ITEM, kind="summary", panel_size=(6.0, 1.6))
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    legends = [legend for ax in figure.axes if (legend := ax.get_legend()) is not None]
    assert len(legends) == len(FLUXES)
    for legend in legends:
        assert legend.get_window_extent(renderer).x1 <= figure.bbox.x1
    for ax in figure.axes:
        if ax.get_yscale() == "symlog":
            tops = sorted(label.get_window_extent(renderer).y0 for label in ax.get_yticklabels())
            size = float(ax.get_yticklabels()[0].get_fontsize()) * figure.dpi / 72
            assert np.diff(tops).min() > size
        if ax.get_ylabel().endswith("Pitch angle (°)"):
            assert all(tick % 45 == 0 for tick in ax.get_yticks())


def test_a_series_is_made_once(run: Run) -> None:
    data = run.spectrogram(ITEM, "ees")
    assert series_of(data, "density") is series_of(data, "density")
    assert series_of(data, "potential") is not None
    assert series_of(replace(data, moments=None), "density") is None
    fluxes = series_of(data, "energy_flux")
    assert fluxes is not None
    assert fluxes.category == ("down", "up", "net")
    assert fluxes.errors.shape == fluxes.values.shape


def test_pitch_angles_that_are_not_in_the_data_are_refused(
    demo: DemoSummary, tmp_path: Path
) -> None:
    more = f'[select]\norbits = "13313"\n{DIRECTIONS}'
    settings = settings_of(demo, tmp_path, more)
    alone = ("-s", 'plot.kinds=["instrument-grid"]')
    assert spectro_mpi("run", settings, "--no-progress", *alone).code == 0
    done = spectro_mpi("run", settings, "--no-progress")
    assert done.code == 2
    assert "summary: pitch angles are not in the data" in done.err
    done = spectro_mpi("run", settings, "--no-progress", "-s", 'plot.summary=["ees.all"]')
    assert done.code == 0, done.err


def test_all_numbers_of_ranks_draw_the_same(run: Run, demo: DemoSummary, tmp_path: Path) -> None:
    select = '[select]\norbits = "13312-13313"\n'
    settings = settings_of(demo, tmp_path, select + DIRECTIONS)
    done = spectro_mpi("run", settings, "--no-progress", ranks=3)
    assert done.code == 0, done.err
    other = open_run(tmp_path / "runs" / "fast")
    assert other.extrema == run.extrema
    for item in run.items:
        for path in other.figures(item):
            same = next(each for each in run.figures(item) if each.name == path.name)
            assert same.read_bytes() == path.read_bytes()


def test_settings_hold_what_they_name(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('[plot]\nkinds = ["summary"]\nsummary = ["ees.all"]\n')
    config = load_config(tmp_path / "s.toml")
    assert config.summary == ("ees.all",)
    assert not config.has_angles
    assert Config().summary[0].startswith("ees.downgoing + ees-potential | ees.parallel")
