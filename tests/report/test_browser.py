"""The report as people use it: in a real browser, opened from the file system."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, expect

from spectro_mpi import open_run
from spectro_mpi.demo import DemoSummary
from spectro_mpi.rundir.layout import data_path
from spectro_mpi.rundir.reader import Run
from spectro_mpi.system.logs import FailureMark
from tests.conftest import spectro_mpi
from tests.phases.test_shared_panels import run_of
from tests.report.browsing import (
    Visit,
    assert_shown,
    described,
    finished,
    found,
    point_at,
    visiting,
)

ORBIT = "13321"
"""It and the next one have electron and ion figures."""
HOSTILE = "<img src=x onerror=\"document.title='taken'\"> 'a' & </script><script>b"
HOSTILE_ITEM = HOSTILE.replace("/", "|")  # no file's name has a slash
HOSTILE_NAME = "<b>\"c\" 'd' #e?f%20&g"
"""As the one above, but fit for the name of a folder."""


@pytest.fixture
def run_dir(shown_run: Path) -> Path:
    """The run that is shown. Not to be changed."""
    return shown_run


def test_the_overview_tells_how_far_the_run_is(visit: Visit, run_dir: Path) -> None:
    page = visit.open()
    run = open_run(run_dir)
    expect(page.locator("h1").first).to_have_text("Run fast")
    done, failed = len(run.completed("plot")), len(run.errors)
    expect(page.locator(".lead")).to_contain_text(f"{done} of 12 items done, {failed} failed")
    expect(page.locator("#taste img").first).to_be_visible()
    assert_shown(page.locator("#taste img").first)
    assert page.locator("#settings").is_hidden()


def instruments_of(item: str, run: Run) -> list[str]:
    """The instruments of an item, also those that failed."""
    failed = [failure.instrument for failure in run.errors.get(item, ())]
    return [*(run.instruments(item) if item in run.items else []), *failed]


def day_of(item: str, run: Run) -> str:
    """The day in the name of an input file of an item."""
    told = (
        [run.spectrogram(item, one).source for one in run.instruments(item)]
        if (item in run.items)
        else [one.message for one in run.errors[item]]
    )
    found = re.search(r"_(\d{8})\d{6}_", told[0])
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("words", "holds"),
    [
        ("13313", lambda item, run: item == "13313"),
        ("13312-13313", lambda item, run: int(item) <= 13313),
        ("2000-01-01", lambda item, run: day_of(item, run) == "20000101"),
        ("failed", lambda item, run: item in run.errors),
        (
            "invalid-cdf ees",
            lambda item, run: (
                "ees" in instruments_of(item, run)
                and any(failure.reason == "invalid-cdf" for failure in run.errors.get(item, ()))
            ),
        ),
        ("nothing like it", lambda item, run: False),
    ],
)
def test_orbits_are_found_by_number_date_state_and_instrument(
    visit: Visit, run_dir: Path, words: str, holds: Any
) -> None:
    page = visit.open("#gallery")
    run = open_run(run_dir)
    known = sorted({*run.items, *run.errors})
    assert found(page) == known
    page.locator("#query").press_sequentially(words)
    wanted = [item for item in known if holds(item, run)]
    expect(page.locator("#found")).to_contain_text(f"{len(wanted)} of {len(known)} orbits")
    assert found(page) == wanted
    page.reload()
    expect(page.locator("#query")).to_have_value(words)
    expect(page.locator("#found")).to_contain_text(f"{len(wanted)} of {len(known)} orbits")


def test_orbits_are_found_by_the_labels_of_their_events(visit: Visit, run_dir: Path) -> None:
    marked = sorted({path.parent.name for path in run_dir.glob("plots/*/*/*/*_cusp_*")})
    assert marked
    page = visit.open("#gallery")
    page.locator("#event").select_option("cusp")
    assert found(page) == marked
    assert page.locator("#cards .badge.event").all_text_contents() == ["cusp"] * len(marked)
    page.reload()
    expect(page.locator("#event")).to_have_value("cusp")
    assert found(page) == marked


def test_every_thumbnail_is_a_picture_and_leads_to_its_figure(visit: Visit) -> None:
    page = visit.open("#gallery")
    page.locator("#limits").select_option("all")
    page.locator("#query").fill("13312")
    links = page.locator("#cards .thumbnail")
    for number in range(links.count()):
        link = links.nth(number)
        assert_shown(link.locator("img"))
        kind = (
            "raw" if "own limits" in (link.get_attribute("aria-label") or "") else "given_extrema"
        )
        link.click()
        expect(page.locator("#figures figcaption a")).to_contain_text(f"_{kind}-")
        page.go_back()


def test_keys_lead_from_figure_to_figure(visit: Visit) -> None:
    page = visit.open(f"#item/{ORBIT}")
    title, name = page.locator("#item-title"), page.locator("#figures figcaption a")
    expect(name).to_contain_text("ees_y-log_z-log_given_extrema")
    page.keyboard.press("k")
    expect(name).to_contain_text("_pitch-angle_ESA_ies_y-log_z-log_given_extrema")
    page.keyboard.press("l")
    expect(name).to_contain_text("ies_y-log_z-log_raw")
    page.keyboard.press("ArrowRight")
    expect(title).to_have_text("Orbit 13322")
    expect(name).to_contain_text("13322")
    expect(name).to_contain_text("ies_y-log_z-log_raw")
    page.keyboard.press("b")
    expect(name).to_have_count(2)
    page.keyboard.press("ArrowLeft")
    expect(title).to_have_text("Orbit 13321")
    page.keyboard.press("/")
    expect(page.locator("#query")).to_be_focused()


def test_the_keyboard_alone_leads_from_the_start_to_a_figure(visit: Visit) -> None:
    page = visit.open()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Gallery", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#gallery-title")).to_be_focused()
    while page.evaluate("document.activeElement.closest('.card') === null"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#item-title")).to_be_focused()
    expect(page.locator("#item-title")).to_have_text("Orbit 13312")


def test_a_figure_can_be_enlarged(visit: Visit) -> None:
    page = visit.open("#item/13312")
    image = page.locator("#figures img")
    before = width(image)
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert width(image) > 1.5 * before
    page.locator("#fit").click()
    assert width(image) == before


def width(image: Locator) -> float:
    box = image.bounding_box()
    assert box
    return box["width"]


@pytest.mark.parametrize("zoom", [0, 2])
def test_the_value_under_the_pointer_is_that_of_the_store(
    visit: Visit, run_dir: Path, zoom: int
) -> None:
    assert_values_are_read(visit, run_dir, "ies", float, zoom)


def test_the_value_of_an_energy_flux_has_four_digits_of_the_store(
    browser: Browser, demo: DemoSummary, tmp_path: Path
) -> None:
    run_dir = finished(
        demo,
        tmp_path,
        *("-s", f"select.orbits={ORBIT}", "-s", "data.quantity=eflux"),
        *("-s", 'plot.scales=[["log", "log"]]', "-s", 'plot.limits=["raw"]'),
    )
    for visit in visiting(browser, run_dir):
        assert_values_are_read(visit, run_dir, "ies", lambda value: float(f"{value:.4g}"))


def test_large_numbers_are_written_with_their_power_of_ten(visit: Visit) -> None:
    page = visit.open()
    shown = [
        page.evaluate(f"spectroMpi.format.number({number})") for number in (1e9, -2.6e9, 12345)
    ]
    assert shown == ["1e9", "-2.6e9", "12345"]


def test_the_value_in_a_shared_panel_is_that_of_the_instrument_that_is_drawn(
    browser: Browser, tmp_path: Path
) -> None:
    run = run_of(tmp_path, 6 * 2.0 ** np.arange(5, dtype=np.float32))
    low, high = (run.spectrogram("20170101", name) for name in ("low", "high"))
    for visit in visiting(browser, run.path):
        page = visit.open("#item/20170101")
        expect(page.locator("#metadata")).to_contain_text("sources")
        image = page.locator("#figures img")
        assert_shown(image)
        name = page.locator("#figures figcaption a").inner_text()
        assert "grid" in name
        (panel,) = described(next((run.path / "plots").rglob(name)))["panels"]
        page.locator("#readout").evaluate("element => element.style.position = 'static'")
        places = [(low, 1, 4), (low, 5, 0), (high, 1, 4), (high, 3, 3)]
        places += [(high, 0, 0)]  # before the first record of the other
        for one, record, channel in places:
            time = float(one.time[record]) - (4.5 if (record, channel) == (0, 0) else 0)
            point_at(page, image, panel, time, float(one.energy[0, channel]))
            expect(page.locator("#readout")).to_contain_text(f"record {record}, channel {channel}:")
            expect(page.locator("#readout")).to_contain_text(f"Flux: {one.instrument}")
            shown = float(page.locator("#value").inner_text().split(" ")[0])
            assert shown == float(f"{one.values[0, record, channel]:.4g}")


def assert_values_are_read(
    visit: Visit, run_dir: Path, instrument: str, rounded: Callable[[float], float], zoom: int = 0
) -> None:
    """Point at cells all over a figure, and compare what the page reads with the store."""
    page = visit.open(f"#item/{ORBIT}")
    page.locator("#kinds").get_by_text(instrument, exact=True).click()
    image = page.locator("#figures img")
    name = page.locator("#figures figcaption a").inner_text()
    expect(page.locator("#metadata")).to_contain_text("sources")
    assert_shown(image)
    for _ in range(zoom):
        page.keyboard.press("+")
    figure = described(next((run_dir / "plots").rglob(name)))
    stored = open_run(run_dir).spectrogram(ORBIT, instrument)
    page.locator("#readout").evaluate("element => element.style.position = 'static'")
    read = 0
    random = np.random.default_rng(1)
    for panel in figure["panels"][: len(stored.category)]:
        row = stored.category.index(panel["category"])
        for _ in range(12):
            record = int(random.choice(np.flatnonzero(np.isfinite(stored.time))))
            energies = stored.energy[stored.mode[record]]
            inside = np.flatnonzero(
                (energies > panel["energy"][0]) & (energies < panel["energy"][1])
            )
            channel = int(random.choice(inside))
            point_at(page, image, panel, float(stored.time[record]), float(energies[channel]))
            readout = page.locator("#readout")
            expect(readout).to_contain_text(panel["label"])
            expect(readout).to_contain_text("UTC")
            seen = re.search(r"record (\d+), channel (\d+):", readout.inner_text())
            if not seen:
                continue  # several records share the pixel
            told = [int(number) for number in seen.groups()]
            assert told[0] == record
            assert told[1] == channel_at(energies, panel, float(energies[channel]))
            value = stored.values[row, record, told[1]]
            shown = page.locator("#value").inner_text()
            if np.isnan(value):
                assert shown == "no value"
            else:
                assert float(shown.split(" ")[0]) in (value, rounded(value))
            read += 1
    assert read >= 12


def channel_at(energies: Any, panel: Any, energy: float) -> int:
    """The channel at the middle of the pixel row that a figure has for an energy."""
    low, high = panel["energy"]
    rows = panel["box"][3] - panel["box"][1]
    log = panel["y_scale"] == "log"
    if log:
        low, high, energy = np.log10([low, high, energy])
    row = np.floor(rows - (energy - low) / (high - low) * rows)
    middle = low + (high - low) * (rows - 0.5 - row) / rows
    known = np.flatnonzero(np.isfinite(energies))
    order = known[np.argsort(energies[known])]
    centres = np.sort(energies[known].astype(float))
    edges = np.sqrt(centres[1:] * centres[:-1])
    return int(order[np.searchsorted(edges, 10**middle if log else middle)])


def test_errors_are_told_by_reason_and_lead_to_their_lines_in_the_log(
    visit: Visit, run_dir: Path
) -> None:
    page = visit.open("#errors")
    failures = [(item, one) for item, ones in open_run(run_dir).errors.items() for one in ones]
    expect(page.locator("summary").first).to_contain_text("invalid-cdf")
    expect(page.locator("#errors [data-reason] tbody tr")).to_have_count(len(failures))
    item, failure = failures[0]
    row = page.locator("#errors tbody tr", has_text=failure.message)
    expect(row).to_contain_text(item)
    row.get_by_role("link", name="rank-").click()
    line = page.locator("li:target")
    expect(line).to_contain_text(str(FailureMark(item, failure.instrument, failure.phase)))
    number = int((line.get_attribute("id") or "")[1:])
    (log,) = (run_dir / "logs").glob("rank-*.log")
    assert log.read_text().splitlines()[number - 1] == line.inner_text()


def test_an_orbit_that_failed_says_so_beside_what_could_be_drawn(
    visit: Visit, run_dir: Path
) -> None:
    run = open_run(run_dir)
    item = next(item for item in run.errors if item in run.items)
    page = visit.open(f"#item/{item}")
    expect(page.locator("#failures")).to_contain_text(run.errors[item][0].message)
    expect(page.locator("#figures img")).to_be_visible()


def test_names_that_look_like_pages_are_only_names(
    browser: Browser, run_dir: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run <b>&amp;'\"#1"
    shutil.copytree(run_dir, folder)
    put_hostile_items(folder)
    assert spectro_mpi("report", folder).code == 0
    for visit in visiting(browser, folder):
        page = visit.open("#errors")
        expect(page.locator("#errors")).to_contain_text(HOSTILE)
        page.get_by_role("link", name=HOSTILE_ITEM, exact=True).click()
        expect(page.locator("#item-title")).to_have_text(f"Orbit {HOSTILE_ITEM}")
        expect(page.locator("#failures")).to_contain_text(HOSTILE)
        page.locator("#back").click()
        assert {HOSTILE_ITEM, HOSTILE_NAME} <= set(found(page))
        page.get_by_role("link", name=HOSTILE_NAME, exact=True).click()
        assert_shown(page.locator("#figures img"))
        expect(page.locator("#metadata")).to_contain_text("sources")
        assert "taken" not in page.title()
        assert page.locator("img[src=x]").count() == 0


def put_hostile_items(run_dir: Path) -> None:
    """Give a run an item that failed and one with figures, with names that are hard to show."""
    progress = json.loads((run_dir / "progress.json").read_text())
    failure = next(iter(progress["errors"].values()))
    progress["errors"][HOSTILE_ITEM] = failure | {
        "instrument": HOSTILE,
        "message": HOSTILE,
        "others": [],
    }
    progress["completed"]["reduce"].append(HOSTILE_NAME)
    progress["completed"]["plot"].append(HOSTILE_NAME)
    held = progress["data_files"]["reduce"]
    held[HOSTILE_NAME] = held["13313"].replace("13313", HOSTILE_NAME)
    (run_dir / "progress.json").write_text(json.dumps(progress))
    path = shutil.copy(data_path(run_dir, held["13313"]), data_path(run_dir, held[HOSTILE_NAME]))
    with h5py.File(path, "r+") as file:
        file.attrs["item"] = HOSTILE_NAME
    figures = run_dir / "plots" / "2000" / "01"
    for path in list((figures / "13313").iterdir()):
        (figures / HOSTILE_NAME).mkdir(exist_ok=True)
        name = path.name.replace("13313", HOSTILE_NAME)
        shutil.copy(path, figures / HOSTILE_NAME / name)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "view", ["", "#gallery", "#item/13312", "#errors", "#extrema", "#settings"]
)
def test_everybody_can_read_it(browser: Browser, run_dir: Path, view: str, scheme: Any) -> None:
    for visit in visiting(browser, run_dir, color_scheme=scheme):
        page = visit.open(view)
        results = Axe().run(page, options={"preload": False})
        assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize(
    "view", ["", "#gallery", "#item/13312", "#errors", "#extrema", "#settings"]
)
def test_it_fits_a_phone(browser: Browser, run_dir: Path, view: str) -> None:
    for visit in visiting(browser, run_dir, viewport={"width": 390, "height": 844}):
        page = visit.open(view)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_scripts_all_but_the_gallery_can_be_read(browser: Browser, run_dir: Path) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto((run_dir / "report" / "index.html").as_uri())
    for part in ("overview", "errors", "extrema", "settings"):
        assert page.locator(f"#{part} h1").is_visible()
    page.close()
