"""Figures of the atlas, and its page in the report: a cell leads to the orbits behind it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spectro_mpi import open_run
from spectro_mpi.demo import write_demo
from spectro_mpi.draw.atlas_sheets import Words, sheets_of
from spectro_mpi.phases.atlas_figures import draw_atlas
from spectro_mpi.report.pages import make_report
from spectro_mpi.rundir.array_file import read_array_file
from tests.conftest import NO_REPORT, spectro_mpi

SETTINGS = """
phases = ["reduce", "atlas"]
input = "FAST_data"
[data]
quantity = "eflux"
[select]
orbits = "13312,13316"
instruments = ["ees"]
[pitch_angles]
down = { toward = "earth", within = 30 }
cone = { losscone = "up" }
[atlas]
bands = { ees = [[100, 1000]] }
ilat_degrees = 5
"""


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an atlas of one northern and one southern orbit. Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("page")
    write_demo(folder, orbits=5, seed=1)
    settings = folder / "atlas.toml"
    settings.write_text(SETTINGS + NO_REPORT)
    done = spectro_mpi("run", settings, timeout=300)
    assert done.code == 0, done.err
    assert "were not drawn" not in done.out
    make_report(folder / "runs" / "fast", previews=False)
    return folder / "runs" / "fast"


def test_figures_are_drawn_once_and_say_what_they_show(run_dir: Path, tmp_path: Path) -> None:
    folder = run_dir / "results" / "atlas"
    names = {path.name for path in folder.iterdir()}
    stems = ("altitudes_100-1000", "beams", "coverage", "fill", "flux_100-1000")
    figures = {f"ees_{stem}{suffix}" for stem in stems for suffix in (".png", ".pdf")}
    assert names == figures | {"made-from"}
    with Image.open(folder / "ees_flux_100-1000.png") as picture:
        about = json.loads(picture.info["spectro-mpi"])
        shades = len(picture.convert("RGB").getcolors(1 << 24) or [])
    assert about["title"] == "FAST ESA electron survey (ees): Energy flux, 0.1–1 keV"
    assert shades > 200
    assert (folder / "ees_beams.pdf").read_bytes().startswith(b"%PDF")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    config = open_run(run_dir).config
    copy = tmp_path / "fast"
    shutil.copytree(run_dir, copy)
    again = copy / "results" / "atlas"
    (again / "ees_fill.png").unlink()
    (again / "old.png").write_bytes(b"")
    stamp = (again / "ees_beams.png").stat().st_mtime_ns
    moved = open_run(copy).config
    draw_atlas(moved)
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        path.name: content for path, content in before.items()
    }
    assert (again / "ees_beams.png").stat().st_mtime_ns == stamp
    draw_atlas(config)  # nothing to do
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_sheets_that_were_drawn_before_a_run_ended_are_kept(run_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / "fast"
    shutil.copytree(run_dir, copy, ignore=shutil.ignore_patterns("atlas"))
    config, folder = open_run(copy).config, copy / "results" / "atlas"
    blocked = folder / "ees_beams.pdf"
    (blocked / "file").mkdir(parents=True)
    with pytest.raises(OSError):
        draw_atlas(config)
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.p??") if path.is_file()}
    assert {name.rpartition(".")[0] for name in before} == {
        "ees_coverage", "ees_flux_100-1000", "ees_altitudes_100-1000", "ees_beams",
    }  # fmt: skip
    shutil.rmtree(blocked)
    draw_atlas(config)
    after = {name for name, stamp in before.items() if (folder / name).stat().st_mtime_ns != stamp}
    assert after == {"ees_beams.png"}
    whole = run_dir / "results" / "atlas"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in whole.iterdir()
    }


def test_a_hemisphere_or_altitude_without_records_has_no_maps(run_dir: Path) -> None:
    groups, _ = read_array_file(run_dir / "results" / "atlas.h5")
    words = Words({}, {}, "orbits", "2 orbits", lambda label, units: label)
    shown = {sheet.name: sheet for sheet in sheets_of(groups, words)}
    assert shown["ees_coverage"].dials.columns == ("North", "South")
    assert shown["ees_coverage"].dials.rows == ("Records", "Orbits")
    for group in groups.values():  # nothing of the south, nor above 3000 km
        records = group.datasets["records"].values
        records[1] = 0
        if "altitude" in group.datasets:
            records[:, -1] = 0
    shown = {sheet.name: sheet for sheet in sheets_of(groups, words)}
    assert shown["ees_coverage"].dials.columns == ("North",)
    assert {sheet.foot for sheet in shown.values()} == {"2 orbits; no records in the South"}
    altitudes = shown["ees_altitudes_100-1000"].dials
    assert altitudes.columns == ("perpendicular, North", "down, North", "cone, North")
    assert "3000 to\n4500 km" not in altitudes.rows
    for sheet in shown.values():
        rows, columns = len(sheet.dials.rows), len(sheet.dials.columns)
        assert sheet.dials.maps.shape[:2] == np.shape(sheet.dials.counts) == (rows, columns)


def test_the_page_is_one_file_with_the_numbers_of_the_maps(run_dir: Path) -> None:
    index = (run_dir / "report" / "index.html").read_text()
    assert 'href="atlas.html"' in index
    page = (run_dir / "report" / "atlas.html").read_text()
    assert not re.search(r'(src|href)="https?:', page)
    (found,) = re.findall(r'<script type="application/json" id="atlas">(.*?)</script>', page)
    (ees,) = json.loads(found)["instruments"]
    kept, _ = read_array_file(run_dir / "results" / "atlas.h5")
    datasets = kept["ees"].datasets
    level = ees["levels"][0]
    records = datasets["records"].values.reshape(-1)
    assert level["records"] == records[level["cells"]].tolist()
    assert sum(level["records"]) == records.sum()
    mean = datasets["energy_flux_mean"].values[0, 0].reshape(-1)[level["cells"]]
    shown = level["values"][ees["maps"][0]["all"][0]["key"]]
    assert shown == pytest.approx(mean.tolist(), rel=1e-3, nan_ok=True)
    assert {item for cell in level["top"] for item, _ in cell} == {"13312", "13316"}
    assert len(ees["levels"]) == 4
    assert 'src="../results/atlas/ees_beams.png"' in page


def test_without_an_atlas_there_is_no_page(run_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / "fast"
    shutil.copytree(run_dir, copy)
    (copy / "results" / "atlas.h5").write_bytes(b"torn")
    make_report(copy, previews=False)
    assert not (copy / "report" / "atlas.html").exists()
    assert "atlas.html" not in (copy / "report" / "index.html").read_text()


@pytest.mark.parametrize("content", ["[]", "{", '{"notes": 7}'])
def test_a_damaged_account_of_the_maps_costs_its_notes_only(
    run_dir: Path, tmp_path: Path, content: str
) -> None:
    copy = tmp_path / "fast"
    shutil.copytree(run_dir, copy)
    (copy / "atlas.json").write_text(content)
    make_report(copy, previews=False)
    assert (copy / "report" / "atlas.html").exists()
    if content != '{"notes": 7}':
        assert "atlas.json: is damaged (" in spectro_mpi("verify", copy).out
        assert "1 problem repaired" in spectro_mpi("verify", copy, "--repair").out
        assert not (copy / "atlas.json").exists()


@pytest.mark.slow
def test_a_cell_lists_the_orbits_with_the_most_records(run_dir: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if path is None:
        pytest.skip("no chromium is installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(60_000)
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.goto((run_dir / "report" / "atlas.html").as_uri())
        south = page.locator("svg[role=application]").nth(1)
        south.locator("path.cell").first.dispatch_event("click")
        assert page.locator("#cell li a").first.get_attribute("href") == "index.html#item/13316"
        chosen = page.inner_text("#cell h2")
        assert chosen.startswith("south, ")
        page.locator("svg[role=application]").nth(1).focus()
        page.keyboard.press("ArrowLeft")
        assert page.inner_text("#cell h2") != chosen
        for label in page.locator("form select").nth(1).locator("option").all_inner_texts():
            page.locator("form select").nth(1).select_option(label=label)
            assert page.locator("svg[role=application]").count() == 2
        page.locator("form select").nth(2).select_option(index=1)
        assert "0 to 1500 km" in page.inner_text("#cell h2")
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"]})
        assert found.violations_count == 0, found.generate_report()
        assert problems == []
        page.locator("header a").click()
        assert page.url.endswith("index.html")
        browser.close()
