"""What a notebook shows of runs, spectrograms, plans and failures, and what it may ask for."""

from __future__ import annotations

import base64
import io
import re
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import spectro_mpi
from spectro_mpi.api.progress import notebook_bars, shown_bars
from spectro_mpi.demo import DemoSummary
from spectro_mpi.model.moments import Moments
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.model.superposed import Superposed
from spectro_mpi.rundir.live import LiveFile
from spectro_mpi.rundir.reader import Run


@pytest.fixture(scope="module")
def run(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Orbits 13312 and 13313 are sound; of 13314 ees failed, of others everything."""
    return spectro_mpi.plot_directory(
        demo.directory / "FAST_data",
        tmp_path_factory.mktemp("shown") / "run",
        max_workers=1,
        settings={"plot": {"dpi": 40}, "report": {"at_end": False}},
        show_progress=False,
    )


def pictures_in(shown: str) -> list[Image.Image]:
    found = re.findall(r'src="data:image/\w+;base64,([^"]+)"', shown)
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


def test_a_run_shows_counts_failures_by_reason_and_a_figure(run: Run) -> None:
    shown = run._repr_html_()
    assert "<td>reduce</td><td>5 of 12 items done, 7 failed</td>" in shown
    assert "not possible (an earlier phase failed)" in shown
    assert "invalid-cdf" in shown
    (picture,) = pictures_in(shown)
    assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 50


def test_arrays_are_shown_in_a_line(run: Run) -> None:
    """Also times that no date can say."""
    one = run.spectrogram("13312", "ees")
    times = one.time.copy()
    times[:2] = 1e300, np.nan
    stray = replace(one, time=times, values=one.values[:, :, :5])
    moments, superposed = Moments(times, {"density": np.ones(len(times), "f4")}), _superposed(one)
    for shown in map(repr, (one, stray, moments, superposed)):
        assert len(shown) < 300 and "\n" not in shown and "array(" not in shown
    assert repr(one).startswith("<Spectrogram ees counts (counts): category ")
    assert repr(stray).endswith(f" UTC; {one.source}>") and "channel 5; 2000-01-01" in repr(stray)
    assert f"record {len(times)}; 2000-01-01" in repr(moments) and "density" in repr(moments)
    assert repr(superposed) == (
        "<Superposed ees counts (counts): category 1, time_from_event 2, energy 3; "
        "-60 to 60 s from 1 event, 7 records>"
    )


def _superposed(like: Spectrogram) -> Superposed:
    values = np.ones((1, 2, 3), np.float32)
    return Superposed(
        instrument=like.instrument,
        quantity=like.quantity,
        legend=like.legend,
        category=("all",),
        intervals=np.empty((0, 0, 2), np.float32),
        time_edges=np.array([[-60.0, 0.0], [0.0, 60.0]]),
        edges=np.array([[1, 2], [2, 3], [3, 4]], np.float32),
        mean=values,
        median=values,
        lower_quartile=values,
        upper_quartile=values,
        records=values.astype(np.int64),
        events=values.astype(np.int32),
        event_count=1,
        record_count=7,
        width=0.01,
    )


def test_a_spectrogram_shows_its_axes_and_a_picture_of_its_values(run: Run) -> None:
    one = run.spectrogram("13312", "ees")
    shown = one._repr_html_()
    for word in ("all, parallel", "counts", " UTC to ", " eV", one.source):
        assert word in shown
    (picture,) = pictures_in(shown)
    assert picture.size == (360, 96)
    colors = np.asarray(picture.convert("RGB"), int).sum(axis=-1)
    # Brighter where there is more, with the highest energy on top.
    values = one.values[0][:, np.argsort(one.energy[0])[::-1]]
    by_channel = np.log10(1 + np.nan_to_num(values).mean(axis=0))
    rows = np.linspace(0, len(by_channel) - 1, picture.height).round().astype(int)
    is_blank = colors.mean(axis=1) > 700  # white: there is no channel
    assert np.corrcoef(colors.mean(axis=1)[~is_blank], by_channel[rows][~is_blank])[0, 1] > 0.6


def test_failures_are_shown_by_reason(run: Run) -> None:
    assert set(run.errors.by_reason) == {"invalid-cdf", "no-data"}
    shown = run.errors._repr_html_()
    assert "<td>13314</td><td>ees</td><td>reduce</td><td>invalid-cdf</td>" in shown
    assert spectro_mpi.open_run(run.path).errors == run.errors
    assert type(run.errors)()._repr_html_() == "<p>Nothing failed.</p>"


def test_text_of_files_is_no_markup(run: Run) -> None:
    failure = spectro_mpi.errors.Failure("<b>\u202e", "reduce", "generic", "<script>\x1b[2J\udce9")
    shown = type(run.errors)({"<i>": (failure,)})._repr_html_()
    assert "<script>" not in shown
    assert "<i>" not in shown
    assert r"&lt;b&gt;\u202e" in shown
    assert r"\x1b[2J\xe9" in shown
    assert shown.encode()


def test_plans_are_shown_as_tables(demo: DemoSummary) -> None:
    items = spectro_mpi.collect_items(demo.directory / "FAST_data")
    shown = spectro_mpi.create_stacks(items, 2)._repr_html_()
    assert shown.count("<tr>") == 3
    shown = spectro_mpi.Pipeline(settings={"run_id": "mine"})._repr_html_()
    assert "<td>plot</td><td>yes</td><td>spectrograms" in shown


def test_numbers_are_ids_of_items(run: Run) -> None:
    orbit = np.int64(13312)
    assert run.instruments(13312) == run.instruments("13312")
    np.testing.assert_array_equal(
        run.spectrogram(orbit, "ees").values, run.spectrogram("13312", "ees").values
    )
    assert run.figures(13312) == run.figures("13312")
    assert run.limits(13312, "ees") == run.limits("13312", "ees")
    assert run.xarray(13312, "ees").identical(run.xarray("13312", "ees"))
    assert run.figure(13312, "ees").axes


@pytest.mark.parametrize(
    ("item", "instrument", "told"),
    [
        (99999, "ees", "the store has no item 99999; it has 10 items, 13312 to 133"),
        ("133122", "ees", "did you mean 133"),
        (13312, "eeb", "item 13312 has no instrument eeb; it has ees"),
        (13314, "ees", "item 13314 has no instrument ees (ees: "),
    ],
)
def test_what_is_missing_is_one_line_that_names_what_there_is(
    run: Run, item: Any, instrument: str, told: str
) -> None:
    with pytest.raises(KeyError) as caught:
        run.spectrogram(item, instrument)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_failures_and_figures_of_an_item_that_has_none_are_told_in_a_sentence(run: Run) -> None:
    failed: Any = 13314
    done: Any = 13312
    assert run.errors[failed] == run.errors["13314"] == run.errors.get(failed)
    assert failed in run.errors
    assert done not in run.errors
    with pytest.raises(KeyError, match="nothing of item 13312 failed; something did of 13314"):
        run.errors["13312"]
    with pytest.raises(KeyError, match="the store has no item 99999"):
        run.figures(99999)
    with pytest.raises(ValueError, match=r"no reason is called invalid; choose from .*timeout"):
        run.items.where(reason="invalid")
    assert repr(run) == f"Run('{run.path}')"


def test_items_are_a_list_and_a_table_to_filter(run: Run) -> None:
    items = run.items
    assert items[:2] == ["13312", "13313"]
    assert items.where(failed=False) == ["13312", "13313", *items.where(failed=False)[2:]]
    assert items.where(failed=True)[0] == "13314"
    assert set(items.where(failed=True)) | set(items.where(failed=False)) == set(items)
    assert items.where(reason="invalid-cdf").where(failed=False) == []
    first, second = items.rows[:2]
    assert first.instruments == ("ees",)
    assert first.completed == ("reduce", "plot")
    assert first.stop is not None
    assert second.start is not None
    assert items.where(start=second.start)[0] == "13313"
    assert items.where(stop=f"{second.start:%Y-%m-%dT%H:%M:%S}") == ["13312"]
    assert items.where(start="2100-01-01") == []
    with pytest.raises(ValueError, match="Invalid isoformat"):
        items.where(start="yesterday")
    assert "<td>13312</td>" in items._repr_html_()


def test_items_become_a_data_frame(run: Run) -> None:
    frame = run.items.to_pandas()
    assert list(frame.index) == run.items
    assert str(frame.start.dt.tz) == "UTC"
    assert frame.loc["13314"].failures == 1
    assert frame[frame.failures == 0].index[0] == "13312"


def test_bars_are_for_notebooks_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert notebook_bars() is None

    class Shell:
        __module__ = "ipykernel.zmqshell"

    monkeypatch.setitem(
        sys.modules,
        "IPython",
        types.SimpleNamespace(get_ipython=Shell),
    )
    assert notebook_bars().__name__.startswith("tqdm")


def test_bars_follow_the_phases_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tqdm import tqdm

    made = []

    def bars(**keywords: Any) -> Any:
        made.append(tqdm(file=io.StringIO(), **keywords))
        return made[-1]

    monkeypatch.setattr("spectro_mpi.api.progress._LOOK_SECONDS", 0.01)
    live = LiveFile(tmp_path)
    with shown_bars(tmp_path, bars):
        for phase in ("reduce", "plot"):
            live.begin(phase, 4)
            while len(made) < 1 + (phase == "plot"):
                pass
        live.end()
    assert [(bar.desc, bar.total, bar.n) for bar in made] == [("reduce", 4, 4), ("plot", 4, 4)]
