"""`spectro-mpi draw`: one figure of a CDF file or of a run's item."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spectro_mpi import open_run
from spectro_mpi.demo import DemoSummary
from spectro_mpi.draw.sizes import parse_size
from spectro_mpi.draw.spans import parse_span
from spectro_mpi.system import untrusted
from tests.conftest import spectro_mpi, spectro_mpi_here
from tests.istp_files import variables, write

DAY = 946684800.0  # 2000-01-01
ITEM = "13312"


def figure(run_dir: Path, words: str) -> Path:
    (path,) = (path for path in open_run(run_dir).figures(ITEM) if words in path.name)
    return path


def described(path: Path) -> dict[str, object]:
    with Image.open(path) as image:
        found: dict[str, object] = json.loads(image.info["spectro-mpi"])
    return found


@pytest.mark.parametrize("limits", ["given_extrema", "raw", "common"])
@pytest.mark.parametrize("kind", ["pitch-angle", "instrument-grid"])
def test_a_figure_of_a_run_is_drawn_as_in_the_run(
    sampled: Path, tmp_path: Path, kind: str, limits: str
) -> None:
    path = tmp_path / "x.png"
    which = ["--kind", kind, "--limits", limits]
    if kind == "pitch-angle":
        which += ["--instrument", "ees"]
    done = spectro_mpi_here("draw", sampled, ITEM, "-o", path, *which)
    assert (done.code, done.err) == (0, "")
    words = "instrument-grid" if kind == "instrument-grid" else "ESA_ees"
    expected = "given_extrema" if limits == "common" else limits
    (same,) = (
        file for file in open_run(sampled).figures(ITEM) if words in file.name
        and expected in file.name
    )  # fmt: skip
    assert path.read_bytes() == same.read_bytes()


def test_a_cdf_file_is_drawn_as_the_run_draws_it(sampled: Path, tmp_path: Path) -> None:
    run = open_run(sampled)
    source = run.spectrogram(ITEM, "ees").source
    (file,) = Path(run.config.inputs[0]).rglob(source)
    done = spectro_mpi_here("draw", file, "-o", tmp_path / "x.png", "-s", "plot.dpi=50")
    assert (done.code, done.err) == (0, "")
    same = figure(sampled, "ESA_ees_y-log_z-log_raw")
    drawn, expected = (
        np.asarray(Image.open(path).convert("RGB")) for path in (tmp_path / "x.png", same)
    )
    one, other = described(tmp_path / "x.png"), described(same)
    assert one["limits"] == "raw"
    for panel, same in zip(one["panels"], other["panels"], strict=False):  # type: ignore[call-overload]
        assert (panel["time"], panel["z"]) == (same["time"], same["z"])
        left, top, right, bottom = panel["box"]
        assert (drawn[top:bottom, left:right] == expected[top:bottom, left:right]).mean() > 0.95


def test_a_file_of_any_mission_is_drawn_as_inspect_proposes(tmp_path: Path) -> None:
    file = tmp_path / "tst_l2_20170101_v1.cdf"
    write(file, variables())
    done = spectro_mpi_here("draw", file, "-o", tmp_path / "x.png", "-s", "plot.dpi=50")
    assert (done.code, done.err) == (0, "")
    panels = described(tmp_path / "x.png")["panels"]
    assert {panel["category"] for panel in panels} >= {"all", "parallel"}  # type: ignore[attr-defined]
    refused = spectro_mpi_here("draw", file, "-o", tmp_path / "y.png", "--instrument", "none")
    assert refused.code == 2 and "no variable none that can be drawn; it has" in refused.err
    given = variables()
    given["Flux"] = replace(given["Flux"], attributes={})
    nothing = spectro_mpi_here("draw", write(tmp_path / "x.cdf", given), "-o", tmp_path / "y.png")
    assert nothing.code == 2 and "x.cdf: nothing in it can be drawn" in nothing.err


@pytest.mark.parametrize("name", [b"\xe4", b"a\nb", b"\x1b[31m", b"-x {item} %s '$(id)"])
def test_a_file_is_drawn_in_a_folder_of_any_name(
    demo: DemoSummary, tmp_path: Path, name: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    fast = next(demo.directory.rglob("fa_esa_l2_ees_*_13312_v01.cdf"))
    shutil.copy(fast, folder / fast.name)
    write(folder / "tst_20170101_v1.cdf", variables())
    monkeypatch.chdir(folder)
    for file in (fast.name, "tst_20170101_v1.cdf"):
        done = spectro_mpi_here("draw", file, "-o", "x.png", "-s", "plot.dpi=40")
        assert done.code == 0, done.err
        assert (folder / "x.png").stat().st_size


def test_a_time_span_is_drawn_alone(sampled: Path, tmp_path: Path) -> None:
    whole = described(figure(sampled, "ESA_ees_y-log_z-log_raw"))
    begin, _ = whole["panels"][0]["time"]  # type: ignore[index]
    first, last = begin + 300.0, begin + 900.0
    clock = [f"{int(t % 86400) // 3600:02d}:{int(t % 3600) // 60:02d}:{t % 60:06.3f}"
             for t in (first, last)]  # fmt: skip
    path = tmp_path / "x.png"
    time = ("--time", ",".join(clock))
    assert spectro_mpi_here("draw", sampled, ITEM, "-o", path, *time).code == 0
    panels = described(path)["panels"]
    assert len({tuple(panel["box"][:1]) for panel in panels}) == 1  # type: ignore[attr-defined]
    assert panels[0]["time"] == pytest.approx([first, last], abs=0.002)  # type: ignore[index]
    refused = spectro_mpi_here("draw", sampled, ITEM, "-o", path, "--time", "23:00,23:10")
    assert refused.code == 2
    assert "there are no data then" in refused.err


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        (("--style", "single-column"), (3.4, 5.0)),
        (("--style", "single-column", "--kind", "instrument-grid"), (3.4, 1.7)),
        (("--style", "double-column"), (7.0, 6.0)),
        (("--style", "slides"), (40 / 3, 7.5)),
        (("--size", "86x120mm"), (86 / 25.4, 120 / 25.4)),
        (("--style", "slides", "--size", "5x4"), (5.0, 4.0)),
    ],
)
def test_sizes_of_files(
    sampled: Path, tmp_path: Path, arguments: tuple[str, ...], size: tuple[float, float]
) -> None:
    path = tmp_path / "x.svg"
    assert spectro_mpi_here("draw", sampled, ITEM, "-o", path, *arguments).code == 0
    sides = re.search(r'<svg[^>]* width="([\d.]+)pt" height="([\d.]+)pt"', path.read_text())
    assert sides is not None
    assert [float(side) / 72 for side in sides.groups()] == pytest.approx(size, abs=0.01)


def test_text_that_is_too_small_to_read_is_told(sampled: Path, tmp_path: Path) -> None:
    small = spectro_mpi_here("draw", sampled, ITEM, "-o", tmp_path / "x.pdf", "--size", "2x1.5in")
    assert re.search(r"; its text of [1-4]\.\d points needs a larger --size", small.out)
    done = spectro_mpi_here("draw", sampled, ITEM, "-o", tmp_path / "x.pdf", "--size", "3.4x5in")
    assert done.code == 0 and "points" not in done.out


def test_several_items_are_read_by_one_process_and_drawn_as_alone(
    settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        spectro_mpi("run", settings, "-s", "select.orbits=13312-13313", "--no-progress").code == 0
    )
    run_dir = settings.parent / "runs" / "fast"
    started: list[str] = []
    start = untrusted._start

    def counted(seconds: int, scratch: str) -> Any:
        started.append(scratch)
        return start(seconds, scratch)

    monkeypatch.setattr(untrusted, "_start", counted)
    for suffix in ("png", "svg"):
        together = ("draw", run_dir, ITEM, "13313", "-o", tmp_path / f"{{item}}.{suffix}")
        assert spectro_mpi_here(*together).code == 0
        assert len(started) == 1
        for item in (ITEM, "13313"):
            assert spectro_mpi_here("draw", run_dir, item, "-o", tmp_path / f"x.{suffix}").code == 0
            drawn = (tmp_path / f"{item}.{suffix}").read_bytes()
            assert (tmp_path / f"x.{suffix}").read_bytes() == drawn
        started.clear()
    refused = spectro_mpi_here("draw", run_dir, ITEM, "9", "-o", tmp_path / "new-{item}.png")
    assert refused.code == 2 and not list(tmp_path.glob("new-*"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("RUN", "99", "-o", "x.png"), "has no data of item 99; it has 13312"),
        (("RUN", "-o", "x.png"), "which item? It has 13312"),
        (("RUN", ITEM, "-o", "x.gif"), "ends in .png, .pdf, .svg"),
        (("RUN", ITEM, "-o", "nowhere/x.png"), "cannot be written: No such file"),
        (("RUN", ITEM, "13313", "-o", "x.png"), "write {item} in it"),
        (("RUN", ITEM, "-o", "x.png", "--instrument", "eeb"), "item 13312 has data of ees"),
        (("RUN", ITEM, "-o", "x.png", "--time", "noon"), "is not two times"),
        (("RUN", ITEM, "-o", "x.png", "--time", "00:40,00:40"), "the two times are the same"),
        (("RUN", ITEM, "-o", "x.png", "--size", "3.4"), "is not a size such as"),
        (("RUN", ITEM, "-o", "x.png", "-s", "data.quantity=eflux"), "made with another setting"),
        (("RUN", ITEM, "-o", "{orbit}.png"), "{orbit}: expected {item}"),
        (("RUN", ITEM, "-o", "x.png", "-s", "plot.dpi=99999"), "-s: plot.dpi = 99999: expected at"),
        (("CDF", "-o", "x.png", "-s", "plot.dpi=99999"), "-s: plot.dpi = 99999: expected at most"),
        (("missing.cdf", "-o", "x.png"), "cannot be read: No such file"),
        (("DAMAGED", "-o", "x.png"), "the file is empty"),
        (("CDF", "-o", "x.png", "--limits", "common"), "a CDF file has no common limits"),
        (("CDF", ITEM, "-o", "x.png"), "has no items to choose from"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    sampled: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    run = open_run(sampled)
    (file,) = Path(run.config.inputs[0]).rglob(run.spectrogram(ITEM, "ees").source)
    (tmp_path / "fa_esa_l2_ees_20000101001737_13312_v01.cdf").touch()
    places = {"RUN": sampled, "CDF": file, "DAMAGED": next(tmp_path.glob("*.cdf"))}
    done = spectro_mpi_here("draw", *(places.get(word, word) for word in arguments))
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize(
    ("words", "first", "last"),
    [
        ("23:58,00:12", DAY + 86400 - 120, DAY + 86400 + 720),
        ("00:05,00:10", DAY + 86400 + 300, DAY + 86400 + 600),
        ("23:30,23:55", DAY + 86400 - 1800, DAY + 86400 - 300),  # begins before the data
        ("23:58Z,00:12:00Z", DAY + 86400 - 120, DAY + 86400 + 720),
        ("2000-01-01T23:59,00:10:30.5", DAY + 86400 - 60, DAY + 86400 + 630.5),
        ("2000-01-02T00:00Z,2000-01-02 00:10", DAY + 86400, DAY + 86400 + 600),
    ],
)
def test_times_of_day_are_those_of_the_data(words: str, first: float, last: float) -> None:
    begin, end = DAY + 86400 - 1000, DAY + 86400 + 1000  # 23:43:20 to 00:16:40
    assert parse_span(words, begin, end) == (first, last)


@pytest.mark.parametrize(
    ("word", "size"),
    [("3.4x5in", (3.4, 5)), ("8.6x12.7cm", (8.6 / 2.54, 5)), ("7 x 5", (7, 5))],
)
def test_sizes_are_read_in_their_unit(word: str, size: tuple[float, float]) -> None:
    assert parse_size(word) == pytest.approx(size)
