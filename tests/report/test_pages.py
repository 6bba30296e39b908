"""The report as files: what is written, when, and what it is made from."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spectro_mpi import open_run
from spectro_mpi.demo import DemoSummary
from spectro_mpi.draw.thumbnail import HEIGHT, WIDTH
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.mpi.first_rank import make_report
from spectro_mpi.mpi.request import Request
from spectro_mpi.previews.packs import packed_file
from spectro_mpi.previews.scripts import call
from spectro_mpi.previews.values import values_of
from tests.conftest import NO_REPORT, spectro_mpi, spectro_mpi_here


@pytest.fixture
def settings(settings: Path) -> Path:
    """As everybody's, with the report that a run makes unless told otherwise."""
    settings.write_text(settings.read_text().replace(NO_REPORT, ""))
    return settings


@pytest.fixture(scope="module")
def finished(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, some of its items failed in part. Not to be changed by a test."""
    settings = tmp_path_factory.mktemp("report") / "spectro-mpi.toml"
    settings.write_text(f'input = "{demo.directory / "FAST_data"}"\n[plot]\ndpi = 50\n')
    assert spectro_mpi("run", settings).code == 3
    return settings.parent / "runs" / "fast"


@pytest.fixture
def run_dir(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "runs" / "fast"))


def script(path: Path) -> tuple[str, list[Any]]:
    """The function a script calls, and its arguments."""
    found = re.fullmatch(r"spectroMpi\.(\w+)\((.*)\);\n", path.read_text("ascii"), re.DOTALL)
    assert found
    return found[1], json.loads(f"[{found[2]}]")


def test_ranks_pack_what_one_would(settings: Path) -> None:
    packs = []
    for ranks in (1, 3):
        few = (
            "-s",
            'select.orbits="13312-13313"',
            "-s",
            "plot.dpi=50",
            "-s",
            f'run_id="of{ranks}"',
        )
        assert spectro_mpi("run", settings, *few, ranks=ranks).code == 0
        items = settings.parent / "runs" / f"of{ranks}" / "report" / "items"
        found = sorted(path for path in items.rglob("*") if path.is_file())
        packs.append({str(path.relative_to(items)): path.read_bytes() for path in found})
    assert packs[0] == packs[1]
    assert all("/packs/" in name for name in packs[0])


def test_a_run_that_is_over_leaves_its_report(run_dir: Path) -> None:
    page = (run_dir / "report" / "index.html").read_text()
    assert "Run fast" in page
    assert "invalid-cdf" in page
    failed = open_run(run_dir).errors
    assert failed
    for item in failed:
        assert f"#item/{item}" in page


def test_after_a_short_run_the_page_says_who_draws_its_own_figures(run_dir: Path) -> None:
    page, parts = run_dir / "report" / "index.html", run_dir / "report" / "parts"
    assert "<code>spectro-mpi report</code> draws them" in page.read_text()
    assert not list(parts.glob("timeline.*"))
    assert spectro_mpi_here("report", run_dir, "--no-previews").code == 0
    assert "<code>spectro-mpi report</code> draws them" not in page.read_text()
    names = {path.name.partition(".")[0] for path in parts.glob("*.svg")}
    assert {"timeline", "load", "memory", "stacks"} <= names
    assert 'src="parts/timeline.' in page.read_text()


@pytest.mark.parametrize(("seconds", "left_out"), [(59.0, True), (61.0, False)])
def test_the_page_of_a_long_run_has_them(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, left_out: bool
) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    make_report(open_run(run_dir).config, Request(), anything_done=True, seconds=seconds)
    assert [("--no-run-figures" in words) for words in asked] == [left_out]


@pytest.mark.slow
def test_a_run_leaves_no_report_if_none_is_wanted(settings: Path) -> None:
    wanted = ["-s", "report.at_end=false", "-s", "report.thumbnails=false"]
    done = spectro_mpi("run", settings, *wanted, "-s", "report.values=false")
    assert done.code == 3
    assert not (settings.parent / "runs" / "fast" / "report").exists()


@pytest.mark.slow
def test_a_report_that_cannot_be_made_does_not_change_how_a_run_ends(settings: Path) -> None:
    run_dir = settings.parent / "runs" / "fast"
    assert spectro_mpi("run", settings, "--only", "reduce", "-s", "report.at_end=false").code == 3
    (run_dir / "report" / "index.html").mkdir(parents=True)
    done = spectro_mpi("run", settings)
    assert done.code == 3
    assert "the report was not made" in done.out


def test_what_is_no_run_directory_gets_one_sentence(tmp_path: Path) -> None:
    done = spectro_mpi_here("report", tmp_path)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "is not a run directory" in done.err


@pytest.mark.slow
def test_a_report_can_be_made_of_a_run_that_has_only_begun(settings: Path) -> None:
    assert spectro_mpi("run", settings, "--only", "reduce", "-s", "report.at_end=false").code == 3
    run_dir = settings.parent / "runs" / "fast"
    assert spectro_mpi_here("report", run_dir).code == 0
    assert "Not known yet" not in (run_dir / "report" / "index.html").read_text()


def test_made_again_the_report_is_the_same_and_leaves_nothing_behind(run_dir: Path) -> None:
    def files() -> dict[Path, bytes]:
        found = (path for path in (run_dir / "report").rglob("*") if path.is_file())
        return {path: path.read_bytes() for path in found if path.name != "index.html"}

    assert spectro_mpi_here("report", run_dir).code == 0  # with figures of the run
    before = files()
    stray = run_dir / "report" / "parts" / "items-007.0123456789.js"
    stray.write_text("of an earlier report")
    assert spectro_mpi_here("report", run_dir).code == 0
    assert files() == before


def test_a_report_elsewhere_removes_and_overwrites_nothing_of_others(
    run_dir: Path, tmp_path: Path
) -> None:
    there = {path for path in run_dir.rglob("*") if path.is_file()}
    assert spectro_mpi_here("report", run_dir, "--output", run_dir).code == 0
    assert there <= {path for path in run_dir.rglob("*") if path.is_file()}
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "index.html").write_text("my own page")
    done = spectro_mpi_here("report", run_dir, "--output", mine)
    assert done.code == 2
    assert "is not a report" in done.err
    assert (mine / "index.html").read_text() == "my own page"


def test_thumbnails_stand_in_the_order_of_the_figures(run_dir: Path) -> None:
    sheet = packed_file(run_dir, "2000/01", "13312.jpg")
    with Image.open(io.BytesIO(sheet)) as picture:
        figures = list((run_dir / "plots" / "2000" / "01" / "13312").glob("*.png"))
        assert picture.size == (WIDTH, HEIGHT * len(figures))
        cells = np.asarray(picture).reshape(len(figures), -1)
    assert (cells.std(axis=1) > 20).all()  # none is blank
    assert len(np.unique(cells, axis=0)) == len(figures)


def test_previews_that_are_missing_are_made_by_the_report(run_dir: Path) -> None:
    items = run_dir / "report" / "items"
    before = {path: path.read_bytes() for path in items.rglob("*.*")}
    assert before
    shutil.rmtree(items)
    assert spectro_mpi_here("report", run_dir, "--no-previews").code == 0
    assert not items.exists()
    done = spectro_mpi_here("report", run_dir)
    assert "making thumbnails and values" in done.out
    assert {path: path.read_bytes() for path in items.rglob("*.*")} == before


def test_a_run_has_few_inodes_beside_figures_and_data(run_dir: Path) -> None:
    drawn = [path for path in (run_dir / "plots").glob("*/*/*") if path.is_dir()]
    previews = list((run_dir / "report" / "items").rglob("*"))
    others = [path for path in (run_dir / "plots").rglob("*") if path.suffix != ".png"]
    assert len(drawn) > 5
    assert len(others) + len(previews) < 3 * len(drawn)
    assert len(previews) <= 10, "folders, a catalogue, packs of thumbnails and of values"


def test_scripts_hold_nothing_that_ends_a_script_or_begins_a_tag() -> None:
    words = "</script><script>alert('1')</script>\"\\\u2028&"
    content = call("item", {words: words})
    assert not re.search(rb"[<>&\x80-\xff]", content)
    assert json.loads(content.decode()[len("spectroMpi.item(") : -3]) == {words: words}


def spectrogram(values: np.ndarray[Any, Any]) -> Spectrogram:
    """A spectrogram of one category; `values` is (record, channel)."""
    records, channels = values.shape
    return Spectrogram(
        "ees",
        "eflux",
        ("all",),
        np.arange(records) * 2.5 + 1e9,
        np.full(records, np.nan),
        np.full(records, np.nan),
        np.zeros(records, np.uint8),
        np.geomspace(4, 30000, channels, dtype=np.float32)[None],
        values.astype(np.float32)[None],
        "a.cdf",
        1,
    )


def codes_of(one: Spectrogram) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """What describes the values of a page, and their codes (channel, record)."""
    found = values_of(one)
    (part,) = found.parts
    block = zlib.decompress(base64.b64decode(part.data))
    records = part.head["records"]
    size = 4 if found.head["coding"] == "float" else 2
    planes = np.frombuffer(block[29 * records :], np.uint8).reshape(size, -1)
    dtype = "<f4" if size == 4 else "<u2"
    return found.head, planes.T.copy().view(dtype).reshape(-1, records)


def test_whole_numbers_are_kept_as_they_are() -> None:
    values = np.array([[0, 1, 65534], [np.nan, 7, 300]])
    head, codes = codes_of(spectrogram(values))
    assert head["coding"] == "whole"
    np.testing.assert_array_equal(codes.T, np.where(np.isnan(values), 65535, values))


def test_other_values_are_kept_with_four_digits() -> None:
    random = np.random.default_rng(0)
    values = 10 ** random.uniform(2.0, 7.9, (50, 40))
    values[0, :6] = [0, np.nan, 100, 999.96, 9.9999e6, 12345]
    head, codes = codes_of(spectrogram(values))
    assert head["coding"] == "digits"
    decade, digits = np.divmod(codes.T.astype(np.int64) - 1, 9000)
    decoded = (digits + 1000) * 10.0 ** (decade + head["low"] - 3)
    decoded[codes.T == 0] = 0
    decoded[codes.T == 65535] = np.nan
    stored = values.astype(np.float32)
    np.testing.assert_allclose(decoded, [[float(f"{v:.4g}") for v in row] for row in stored], 1e-12)


@pytest.mark.parametrize("values", ([[-1.5, 2]], [[1e-3, 1e9]], [[np.nan, np.nan]], [[1e30, 2e30]]))
def test_values_of_any_kind_come_back(values: list[list[float]]) -> None:
    head, codes = codes_of(spectrogram(np.array(values)))
    assert codes.shape == (2, 1)
    if head["coding"] == "float":
        np.testing.assert_array_equal(codes.T, np.array(values, np.float32))
