"""Slices through a panel, and parts of its time drawn on a canvas: both are the store's values."""

from __future__ import annotations

import base64
import csv
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from spectro_mpi import open_run
from spectro_mpi.model.spectrogram import Spectrogram
from tests.report.browsing import Visit, assert_shown, described, point_at

ORBIT = "13321"


def open_figure(visit: Visit, kind: str) -> tuple[Page, Any]:
    """Open a figure of the orbit; returns the page and the description of the figure."""
    page = visit.open(f"#item/{ORBIT}")
    page.locator("#kinds").get_by_text(kind, exact=True).click()
    expect(page.locator("#metadata")).to_contain_text("sources")
    name = page.locator("#figures figcaption a").inner_text()
    return page, described(next((visit.folder / "plots").rglob(name)))


def pasted(page: Page) -> str:
    """What is in the clipboard, as a user pastes it."""
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('textarea'), {id: 'paste'}))"
    )
    page.locator("#paste").focus()
    page.keyboard.press("Control+V")
    words = page.locator("#paste").input_value()
    page.evaluate("document.getElementById('paste').remove()")
    return words


def table(text: str) -> tuple[list[str], list[str], list[list[str]]]:
    """The notes, header and rows of comma-separated values."""
    lines = text.splitlines()
    notes = [line for line in lines if line.startswith("# ")]
    header, *rows = csv.reader(lines[len(notes) :])
    return notes, header, rows


def shown_as(run_dir: Path, kind: str) -> Spectrogram:
    instrument, _, angle = kind.partition(" ")
    stored = open_run(run_dir).spectrogram(ORBIT, instrument)
    if not angle:
        return stored
    assert stored.by_angle is not None
    return stored.by_angle


@pytest.mark.parametrize(("kind", "axis"), [("ees", "energy"), ("ies angle", "pitch angle")])
def test_a_click_gives_the_spectrum_and_the_profile_of_the_store(
    visit: Visit, kind: str, axis: str
) -> None:
    page, figure = open_figure(visit, kind)
    stored = shown_as(visit.folder, kind)
    panel = figure["panels"][1]
    row = stored.category.index(panel["category"])
    record = int(np.flatnonzero(np.isfinite(stored.time))[20])
    energies = stored.energy[stored.mode[record]]
    channels = np.flatnonzero(np.isfinite(energies))
    channel = int(channels[len(channels) // 2])
    image = page.locator("#figures img")
    assert_shown(image)
    point_at(page, image, panel, float(stored.time[record]), float(energies[channel]))
    page.mouse.down()
    page.mouse.up()
    spectrum, profile = page.locator(".slice").nth(0), page.locator(".slice").nth(1)
    expect(profile).to_contain_text(f"{panel['label']}: {axis}")
    for part in (spectrum, profile):
        expect(part.locator("svg")).to_have_attribute("aria-label", re.compile("UTC|eV|degrees"))

    spectrum.get_by_text("copy CSV").click()
    notes, header, rows = table(pasted(page))
    assert f"record {record}," in notes[0] and notes[0].endswith("UTC")
    units = f" ({stored.legend.units})" if stored.legend.units else ""
    assert header[0] == f"{axis} from ({stored.legend.axis_units})"
    assert header[2:] == [f"{name}{units}" for name in stored.category]
    order = np.argsort(energies[np.isfinite(energies)])
    values = stored.values[row, record][np.isfinite(energies)][order]
    read = np.array([float(line[2 + row] or "nan") for line in rows])
    np.testing.assert_allclose(read, values.astype(float), rtol=1e-3)
    low, high = (np.array([float(line[at]) for line in rows]) for at in (0, 1))
    centres = energies[np.isfinite(energies)][order]
    assert ((low <= centres) & (centres < high)).all()

    profile.get_by_text("copy CSV").click()
    notes, header, rows = table(pasted(page))
    assert header[0] == "time (UTC)"
    known = np.flatnonzero(np.isfinite(stored.time))
    assert len(rows) == len(known)
    column = [float(line[-1] or "nan") for line in rows]
    same = np.flatnonzero(stored.mode[known] == stored.mode[record])
    expected = stored.values[row, known[same], channel].astype(float)
    np.testing.assert_allclose(np.array(column)[same], expected, rtol=1e-3)


def test_times_are_shown_to_the_nearest_tenth(visit: Visit) -> None:
    page = visit.open()
    shown = page.evaluate("[53.277, 53.2, 59.96].map((time) => spectroMpi.format.clock(time))")
    assert shown == ["1970-01-01 00:00:53.3", "1970-01-01 00:00:53.2", "1970-01-01 00:01:00.0"]


def test_slices_are_in_the_link_and_are_saved_as_pictures(visit: Visit, tmp_path: Path) -> None:
    page, figure = open_figure(visit, "ees")
    panel = figure["panels"][0]
    time, energy = sum(panel["time"]) / 2, 500.0
    image = page.locator("#figures img")
    assert_shown(image)
    point_at(page, image, panel, time, energy)
    page.mouse.down()
    page.mouse.up()
    expect(page.locator(".slice")).to_have_count(2)
    page.locator("#copylink button").click()
    expect(page.locator("#said")).to_have_text("copied")
    link = pasted(page)
    titles = page.locator(".slice figcaption").all_inner_texts()
    with page.expect_download() as download:
        page.locator(".slice").first.get_by_text("save SVG").click()
    saved = tmp_path / "slice.svg"
    download.value.save_as(saved)
    assert saved.read_text().startswith("<?xml")
    browser = page.context.browser
    assert browser
    alone = browser.new_page()
    alone.goto(saved.as_uri())
    assert alone.locator("svg path").count() >= 2
    alone.close()
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator(".slice")).to_have_count(2)
    assert page.locator(".slice figcaption").all_inner_texts() == titles
    page.keyboard.press("Escape")
    expect(page.locator(".slice")).to_have_count(0)
    assert "at=" not in page.url


_PAINT = """async ([id, tail, place]) => {
    const item = spectroMpi.byId.get(id);
    const head = await spectroMpi.values.headOf(item);
    const panel = head.figures[tail].panels[place];
    const [left, top, right, bottom] = panel.box;
    const pixels = await spectroMpi.raster.paint(
        item, head, panel, panel.time, right - left, bottom - top);
    let text = "";
    for (let at = 0; at < pixels.length; at += 4096) {
        text += String.fromCharCode(...pixels.subarray(at, at + 4096));
    }
    return btoa(text);
}"""


@pytest.mark.parametrize("kind", ["pitch-angle_ESA_ees", "instrument-grid", "angle_ESA_ies"])
def test_what_is_drawn_of_the_values_is_the_figure(visit: Visit, kind: str) -> None:
    page = visit.open(f"#item/{ORBIT}")
    (path,) = (visit.folder / "plots").rglob(f"{ORBIT}_{kind}*_given_extrema-*.png")
    with Image.open(path) as picture:
        rgb = np.asarray(picture.convert("RGB"))
    for place, panel in enumerate(described(path)["panels"]):
        left, top, right, bottom = panel["box"]
        tail = path.name.removeprefix(ORBIT)
        pixels = base64.b64decode(page.evaluate(_PAINT, [ORBIT, tail, place]))
        drawn = np.frombuffer(pixels, np.uint8).reshape(bottom - top, right - left, 4)[..., :3]
        same = (drawn == rgb[top:bottom, left:right]).all(axis=-1).mean()
        # Figures by pitch angle have the edges of the loss cones, too.
        assert same > (0.85 if panel.get("curves") else 0.998), panel["label"]


def written(*span: float) -> str:
    """A part of the time as JavaScript writes it."""
    return " ".join(str(int(time)) if time == int(time) else repr(time) for time in span)


def span_of(page: Page) -> list[float]:
    canvas = page.locator(".timeview canvas[data-span]")
    return [float(word) for word in (canvas.get_attribute("data-span") or "").split()]


def test_a_part_of_the_time_is_chosen_by_dragging_by_buttons_and_by_keys(visit: Visit) -> None:
    page, figure = open_figure(visit, "ees")
    whole = figure["panels"][0]["time"]
    page.keyboard.press("t")
    canvas = page.locator(".timeview canvas[data-span]")
    expect(canvas).to_be_visible()
    np.testing.assert_allclose(span_of(page), whole)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    y = box["y"] + 80
    page.mouse.move(box["x"] + 0.3 * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], y, steps=3)
    page.mouse.up()
    expect(canvas).not_to_have_attribute("data-span", written(*whole))
    begin, end = span_of(page)
    assert (end - begin) / (whole[1] - whole[0]) == pytest.approx(0.2 * 1232 / 1086, abs=0.03)
    page.keyboard.press("+")
    expect(canvas).not_to_have_attribute("data-span", written(begin, end))
    shorter = span_of(page)
    assert shorter[1] - shorter[0] == pytest.approx((end - begin) / 2)
    page.get_by_role("button", name="Later").click()
    expect(canvas).not_to_have_attribute("data-span", written(*shorter))
    assert span_of(page)[0] == pytest.approx((shorter[0] + shorter[1]) / 2, abs=1e-3)
    url = page.url
    page.keyboard.press("0")
    expect(canvas).to_have_attribute("data-span", written(*whole))
    page.goto("about:blank")
    page.goto(url)
    expect(canvas).to_be_visible()
    assert span_of(page)[0] == pytest.approx((shorter[0] + shorter[1]) / 2, abs=2e-3)
    expect(page.locator(".timeview .span")).to_contain_text("UTC")


def test_values_and_slices_are_read_off_the_part_that_is_drawn(visit: Visit) -> None:
    page, figure = open_figure(visit, "ees")
    begin = figure["panels"][0]["time"][0]
    page = visit.open(f"#item/{ORBIT}/0+time?from={begin + 300}&to={begin + 900}")
    canvas = page.locator(".timeview canvas[data-span]")
    expect(canvas).to_be_visible()
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    expect(page.locator("#readout")).to_contain_text("UTC")
    expect(page.locator("#value")).to_be_visible()
    page.mouse.down()
    page.mouse.up()
    expect(page.locator(".slice")).to_have_count(2)
    page.locator(".slice").nth(1).get_by_text("copy CSV").click()
    _, _, rows = table(pasted(page))
    times = [datetime.fromisoformat(line[0].replace("Z", "+00:00")).timestamp() for line in rows]
    assert begin + 270 < min(times) < begin + 330 and begin + 870 < max(times) < begin + 930
