"""Instruments that name the same panel are drawn in one, each at its own energies and times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import spectro_mpi
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.loading import config_from
from spectro_mpi.settings.schema import SettingsError
from tests.conftest import spectro_mpi as command
from tests.draw.test_pixels import Data, read
from tests.istp_files import TIME, Variable, epoch, variables, write

LOW = np.array([2, 4, 8, 16, 32], np.float32)
SETTINGS = """\
run_id = "day"
input = "data"
[data]
preset = "istp"
[plot]
kinds = ["instrument-grid", "pitch-angle"]
colormap = "viridis"
[[instrument]]
name = "low"
file = "low_{date}_v{version}.cdf"
value = "Flux"
panel = "both"
[[instrument]]
name = "high"
file = "high_{date}_v{version}.cdf"
value = "Flux"
panel = "both"
"""


def measurement(
    energy: NDArray[np.float32], time: NDArray[Any], seed: int, **attributes: Any
) -> dict[str, Variable]:
    """A flux by record and energy, keV, that falls with energy; one of its cells is missing."""
    given = variables()
    rng = np.random.default_rng(seed)
    data = (1e4 * rng.uniform(0.3, 3, (len(time), len(energy))) / energy).astype(np.float32)
    data[2, 1] = -1e31
    told = {key: text for key, text in given["Flux"].attributes.items() if key != "DEPEND_2"}
    told |= {"DEPEND_1": "Energy", "LABLAXIS": "Flux", **attributes}
    return {
        "Epoch": replace(given["Epoch"], data=epoch("CDF_TIME_TT2000", time)),
        "Energy": replace(given["Energy"], data=energy),
        "Flux": replace(given["Flux"], data=data, attributes=told),
    }


def run_of(
    folder: Path, high: NDArray[np.float32], *more: str, settings: str = SETTINGS, **told: Any
) -> spectro_mpi.Run:
    (folder / "data").mkdir(parents=True)
    (folder / "spectro-mpi.toml").write_text(settings)
    write(folder / "data" / "low_20170101_v1.cdf", measurement(LOW, TIME, 1))
    later = TIME[0] + 1 + 10 * np.arange(6)
    write(folder / "data" / "high_20170101_v1.cdf", measurement(high, later, 2, **told))
    done = command("run", "spectro-mpi.toml", *more, cwd=folder)
    assert done.code == 0, done.err
    return spectro_mpi.open_run(folder / "runs" / "day")


def grid_of(run: spectro_mpi.Run, limits: str) -> tuple[list[Data], dict[str, Any]]:
    (path,) = [p for p in run.figures("20170101") if "grid" in p.name and limits in p.name]
    return read(path.read_bytes())


def seen(one: Spectrogram, panel: Data) -> NDArray[np.float64]:
    """What an instrument has at each pixel of a panel, by its own edges; NaN: nothing."""
    values = np.full((len(panel.energy), len(panel.time)), np.nan)
    half = np.diff(one.time)[0] / 2
    for record, time in enumerate(one.time):
        columns = np.abs(panel.time - time) < half
        for channel, (low, high) in enumerate(one.edges[0]):
            rows = (panel.energy > low) & (panel.energy < high)
            values[np.ix_(rows, columns)] = one.values[0, record, channel]
    return values


@pytest.mark.parametrize("overlap", [False, True])
def test_each_pixel_is_of_the_instrument_that_measures_there(tmp_path: Path, overlap: bool) -> None:
    high = (6 if overlap else 64) * 2.0 ** np.arange(5, dtype=np.float32)
    run = run_of(tmp_path, high)
    low_data, high_data = (run.spectrogram("20170101", name) for name in ("low", "high"))
    for limits in ("raw", "given_extrema"):
        (panel,), described = grid_of(run, limits)
        assert panel.entry["instrument"] == "low"
        assert panel.entry["instruments"] == ["low", "high"]
        assert len(described["sources"]) == len(described["sha256"]) == 2
        assert panel.entry["label"] == "low: Flux + high: Flux"
        first, second = seen(low_data, panel), seen(high_data, panel)
        expected = np.where(np.isnan(first), second, first)
        shown = panel.value()
        low, top = panel.entry["z"]
        # Pixels beside an edge may be on either side of it.
        inner = np.ones(shown.shape, bool)
        for axis in (0, 1):
            for by in (1, -1):
                moved = np.roll(expected, by, axis)
                inner &= (moved == expected) | (np.isnan(moved) & np.isnan(expected))
        assert inner.mean() > 0.8
        np.testing.assert_array_equal(np.isnan(shown)[inner], np.isnan(expected)[inner])
        inside = inner & (expected > low) & (expected < top)
        np.testing.assert_allclose(shown[inside], expected[inside], rtol=0.05)
        assert np.isfinite(second[inside]).any()
        # The axes hold all channels of both.
        assert panel.entry["energy"][0] <= 1e3 * LOW[0] / 2**0.5 * 1.001
        assert panel.entry["energy"][1] >= 1e3 * high[-1] * 2**0.5 * 0.999
        ends = [run.limits("20170101", name, limits=limits) for name in ("low", "high")]
        assert low == min(end.z_min for end in ends if end)
        assert top == max(end.z_max for end in ends if end)
        together = run.limits("20170101", "high", limits=limits, shared=True)
        assert together is not None
        assert [together.z_min, together.z_max] == panel.entry["z"]
        assert [together.y_min, together.y_max] == panel.entry["energy"]
    assert run.panel_of("20170101", "high") == ("low", "high")
    assert len(run.figures("20170101")) == 6


def test_limits_set_by_hand_are_those_of_the_panel(tmp_path: Path) -> None:
    run = run_of(tmp_path, 64 * 2.0 ** np.arange(5, dtype=np.float32), "-s", "axes.high.z_max=7e3")
    (panel,), _ = grid_of(run, "given_extrema")
    assert panel.entry["z"][1] == 7000


def test_another_panel_draws_the_grid_again_and_nothing_else(tmp_path: Path) -> None:
    run = run_of(tmp_path, 64 * 2.0 ** np.arange(5, dtype=np.float32))
    before = {path.name: path.stat().st_mtime_ns for path in run.figures("20170101")}
    text = (tmp_path / "spectro-mpi.toml").read_text()
    (tmp_path / "spectro-mpi.toml").write_text(text.replace('panel = "both"\n', ""))
    assert command("run", "spectro-mpi.toml", cwd=tmp_path).code == 0
    after = {path.name: path.stat().st_mtime_ns for path in run.figures("20170101")}
    assert {name for name in after if after[name] != before[name]} == {
        name for name in before if "grid" in name
    }
    panels, _ = grid_of(spectro_mpi.open_run(run.path), "raw")
    assert [panel.entry["instrument"] for panel in panels] == ["low", "high"]


def test_values_in_other_units_have_a_panel_of_their_own_and_the_figure_says_why(
    tmp_path: Path,
) -> None:
    run = run_of(tmp_path, 64 * 2.0 ** np.arange(5, dtype=np.float32), UNITS="cm^-2 s^-1")
    panels, _ = grid_of(run, "raw")
    assert [panel.entry["instrument"] for panel in panels] == ["low", "high"]
    assert run.panel_of("20170101", "high") == ("high",)


def table(name: str, **more: str) -> dict[str, str]:
    return {"name": name, "file": f"{name}_{{date}}.cdf", "value": "Flux", "panel": "p", **more}


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ([table("a")], 'instrument a: panel = "p" is of no other instrument'),
        ([table("a", units="s-1"), table("b", units="counts")], "instrument b: units = "),
        ([table("a", quantity="x"), table("b", quantity="y")], "instrument b: quantity = "),
        ([table("a", z_scale="log"), table("b", z_scale="linear")], "instrument b: z_scale = "),
    ],
)
def test_tables_that_cannot_share_a_panel_are_refused(
    tables: list[dict[str, str]], sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        config_from({"data": {"preset": "istp"}, "instrument": tables}, Path("/"))


def test_panels_of_one_figure_may_have_scales_of_their_own(tmp_path: Path) -> None:
    scales = {"low": ("linear", "log"), "high": ("log", "linear")}
    text = SETTINGS.replace('panel = "both"\n', "")
    for name, (y_scale, z_scale) in scales.items():
        own = f'name = "{name}"\ny_scale = "{y_scale}"\nz_scale = "{z_scale}"'
        text = text.replace(f'name = "{name}"', own)
    run = run_of(tmp_path, 64 * 2.0 ** np.arange(5, dtype=np.float32), settings=text)
    for limits in ("raw", "given_extrema"):
        panels, _ = grid_of(run, limits)
        for panel, (name, expected) in zip(panels, scales.items(), strict=True):
            assert (panel.entry["y_scale"], panel.entry["z_scale"]) == expected
            one = run.spectrogram("20170101", name)
            values = seen(one, panel)
            low, top = panel.entry["z"]
            shown = np.isfinite(values) & (values > low) & (values < top)
            shown[:, 1:] &= values[:, 1:] == values[:, :-1]
            shown[:, :-1] &= values[:, 1:] == values[:, :-1]
            shown[1:] &= values[1:] == values[:-1]
            shown[:-1] &= values[1:] == values[:-1]
            assert shown.mean() > 0.3
            step = 0.01 * (top - low) if expected[1] == "linear" else 0.0
            np.testing.assert_allclose(panel.value()[shown], values[shown], rtol=0.03, atol=step)
