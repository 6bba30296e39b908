"""Ways to look at an orbit: sliders, links, failures, phones, paper."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from spectro_mpi import open_run
from tests.report.browsing import Visit, assert_shown, visiting

ORBIT = "13321"
VIEWS = ["", "#gallery", f"#item/{ORBIT}", "#errors", "#extrema", "#time", "#settings"]
PHONE = {"width": 390, "height": 844}


@pytest.mark.parametrize("width", [390, 1440])
def test_a_slider_shows_one_figure_beside_the_other(
    browser: Browser, shown_run: Path, width: int
) -> None:
    for visit in visiting(browser, shown_run, viewport={"width": width, "height": 900}):
        page = visit.open(f"#item/{ORBIT}")
        page.keyboard.press("s")
        slider = page.get_by_role("slider")
        assert_shown(page.locator(".pair .above"))
        boxes = [page.locator(".pair img").nth(at).bounding_box() for at in (0, 1)]
        assert boxes[0] == boxes[1]
        slider.focus()
        page.keyboard.press("Home")
        assert page.locator(".above").evaluate("e => e.style.clipPath") == "inset(0px 100% 0px 0px)"
        page.keyboard.press("End")
        assert page.locator(".above").evaluate("e => e.style.clipPath") in (
            "inset(0px)",
            "inset(0px 0% 0px 0px)",
        )
        expect(page.locator("#figures figcaption a")).to_have_count(2)


def test_on_a_phone_side_by_side_is_a_slider(browser: Browser, shown_run: Path) -> None:
    for visit in visiting(browser, shown_run, viewport=PHONE):
        page = visit.open(f"#item/{ORBIT}/0+both")
        expect(page.get_by_role("slider")).to_be_visible()
        page.set_viewport_size({"width": 1440, "height": 900})
        expect(page.locator("#figures.both figure")).to_have_count(2)


@pytest.mark.parametrize("span", ["from=-1e300&to=1e300", "from=1e300&to=1e308", "from=x&to="])
def test_times_in_a_link_that_are_none_are_passed_over(visit: Visit, span: str) -> None:
    page = visit.open(f"#item/13321/0+time?{span}&at=1e300,100,electrons")
    expect(page.locator("#figures")).to_be_visible()
    assert page.locator("main > section:visible").get_attribute("id") == "item"


def test_an_instrument_that_failed_has_a_tab_that_says_why(visit: Visit) -> None:
    run = open_run(visit.folder)
    for item, failures in run.errors.items():
        page = visit.open(f"#item/{item}")
        for failure in failures:
            tab = page.locator("#kinds a.failed", has_text=failure.instrument)
            expect(tab).to_have_text(f"{failure.instrument} · failed")
            tab.click()
            expect(tab).to_have_attribute("aria-current", "true")
            expect(page.locator("#figures")).to_contain_text(failure.reason)
            expect(page.locator("#figures")).to_contain_text(failure.message)
            page.reload()
            expect(page.locator("#figures")).to_contain_text(failure.message)
            assert Axe().run(page, options={"preload": False}).violations_count == 0


@pytest.mark.parametrize("view", ["", "+both", "+slider", "+time?at=946759800,500,all%20(0°–360°)"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_each_view(
    browser: Browser, shown_run: Path, view: str, scheme: str
) -> None:
    for visit in visiting(browser, shown_run, color_scheme=scheme):
        page = visit.open(f"#item/{ORBIT}/0{view}")
        if "at=" in view:
            expect(page.locator(".slice")).to_have_count(2)
        results = Axe().run(page, options={"preload": False})
        assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("view", ["", "+slider", "+time?at=946759800,500,all%20(0°–360°)"])
def test_on_a_phone_the_figure_comes_first(browser: Browser, shown_run: Path, view: str) -> None:
    for visit in visiting(browser, shown_run, viewport=PHONE):
        page = visit.open(f"#item/{ORBIT}/0{view}")
        shown = page.locator("#figures :is(img, canvas)").first
        expect(shown).to_be_visible()
        top = shown.bounding_box()
        assert top and top["y"] < 350
        for other in ("#controls", "#readout", "#metadata"):
            box = page.locator(other).bounding_box()
            assert box and box["y"] > top["y"]
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_has_a_focus_ring_on_load(browser: Browser, shown_run: Path, view: str) -> None:
    for visit in visiting(browser, shown_run):
        page = visit.open(view)
        style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style == "none"
        page.goto(page.url.partition("#")[0] + "#gallery")  # a script moves the focus to the title
        expect(page.locator("#gallery-title")).to_be_visible()
        style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style == "none"


@pytest.mark.parametrize("view", [*VIEWS, f"#item/{ORBIT}/0+slider", f"#item/{ORBIT}/0+time"])
def test_on_paper_there_are_no_controls(browser: Browser, shown_run: Path, view: str) -> None:
    for visit in visiting(browser, shown_run, color_scheme="dark"):
        page = visit.open(view)
        page.emulate_media(media="print")
        for control in page.locator("button, input, select, nav a, .tabs a").all():
            assert control.is_hidden(), control.evaluate("e => e.outerHTML")
        assert page.locator("main h1:visible").count() == 1
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == "rgb(255, 255, 255)"
        assert page.pdf().startswith(b"%PDF")


def test_pictures_below_the_screen_are_printed_too(visit: Visit) -> None:
    page = visit.open("#gallery")
    pictures = page.locator("#cards img")
    expect(pictures.last).not_to_be_in_viewport()
    for picture in pictures.all():
        expect(picture).to_have_attribute("src", re.compile("."))
        expect(picture).to_have_js_property("complete", True)


def test_on_a_phone_reasons_of_failures_are_not_cut_off(browser: Browser, shown_run: Path) -> None:
    item = next(iter(open_run(shown_run).errors))
    for visit in visiting(browser, shown_run, viewport=PHONE):
        for view in ("#errors", f"#item/{item}", "#settings"):
            page = visit.open(view)
            assert Axe().run(page, options={"preload": False}).violations_count == 0
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            for message in page.locator("td.message:visible, .callout:visible").all():
                box = message.bounding_box()
                assert box is not None
                assert box["x"] + box["width"] <= PHONE["width"]


def test_escape_closes_the_list_of_keys(visit: Visit) -> None:
    page = visit.open(f"#item/{ORBIT}")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()


def test_each_time_says_that_it_is_utc(visit: Visit) -> None:
    clock = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")
    for view in ("", "#gallery", f"#item/{ORBIT}/0+time"):
        page = visit.open(view)
        if "time" in view:
            expect(page.locator("canvas[data-span]")).to_be_visible()
        # Columns of times have it in their title.
        text = page.locator("main").evaluate(
            """main => {
                for (const table of main.querySelectorAll("table")) {
                    if (table.tHead.innerText.includes("UTC")) table.remove();
                }
                return main.innerText;
            }"""
        )
        for paragraph in text.split("\n\n"):
            assert not clock.search(paragraph) or "UTC" in paragraph, paragraph
    assert "UTC" in page.locator("footer").inner_text()
