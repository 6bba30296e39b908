"""Figures of a run, drawn from what was sampled: right at a few ranks and at hundreds."""

from __future__ import annotations

import io
import math
import re
from dataclasses import fields, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from spectro_mpi.cli.arguments import between
from spectro_mpi.report.run_figures import (
    load_and_memory,
    run_figures,
    timeline,
    write_run_figures,
)
from spectro_mpi.report.run_time import (
    MOST_STEPS,
    RANK_ACTIVITIES,
    WAITING,
    RunTime,
    clock,
    read_run_time,
    seconds_at,
)
from spectro_mpi.report.style import RunFigure
from spectro_mpi.resources import Ends, Nodes, Plans, Ranks, Record, Samples, Steps
from spectro_mpi.resources.archive import write_archive
from spectro_mpi.resources.tables import joined, table_of
from spectro_mpi.rundir.layout import RESOURCES
from spectro_mpi.system.activity import ACTIVITIES
from tests.conftest import spectro_mpi, spectro_mpi_here

SVG = "{http://www.w3.org/2000/svg}"


def test_a_real_run_has_all_its_figures(sampled: Path, tmp_path: Path) -> None:
    figures = run_figures(sampled)
    assert [one.name for one in figures] == ["timeline", "load", "memory", "stacks"]
    written = write_run_figures(figures, tmp_path)
    names = ["timeline.svg", "load.svg", "memory.svg", "stacks.svg"]
    assert [path.name for path in written] == names
    for path in written:
        assert Image.open(path.with_suffix(".png")).size[0] == 1540
        assert path.stat().st_size < 1_000_000
    words = _words(figures[0])
    assert {"coordinator 0", "worker 1", "worker 2", "writer 3", "read", "draw"} <= words
    assert "workers" in figures[0].text


def test_an_svg_takes_the_ink_of_the_readers_colour_scheme_and_leaves_nothing_running(
    sampled: Path,
) -> None:
    figure = timeline(sampled)
    assert figure is not None
    svg = figure.svg()
    root = ElementTree.fromstring(svg)
    style = root.find(f"{SVG}style")
    assert style is not None
    assert "prefers-color-scheme: dark" in (style.text or "")
    assert "var(--a" in svg
    assert not list(root.iter(f"{SVG}script"))
    assert all(
        not value.startswith("http")
        for element in root.iter()
        for name, value in element.attrib.items()
        if name.endswith("href")
    )


def test_a_part_of_the_run_can_be_looked_at(sampled: Path) -> None:
    time = read_run_time(sampled)
    assert time is not None
    part = timeline(sampled, between=(0.2, 0.7))
    assert part is not None
    assert part.figure.axes[0].get_xlim() == (0.2, 0.7)
    assert load_and_memory(sampled, between=(0.2, 0.7)) is not None
    assert time.window((-5, 1e9)) == (0, time.seconds)


def test_a_part_is_drawn_by_command(sampled: Path, tmp_path: Path) -> None:
    told = spectro_mpi("report", sampled, "--between", "0:00.2,0:00.7", "--output", tmp_path)
    assert told.code == 0, told.err
    assert {path.name for path in tmp_path.iterdir()} == {
        "timeline.svg",
        "timeline.png",
        "load.svg",
        "load.png",
    }
    wrong = spectro_mpi("report", sampled, "--between", "5:00")
    assert wrong.code == 2
    assert "is not two times of the run" in wrong.err


def test_what_was_not_sampled_has_no_figures(tmp_path: Path) -> None:
    assert run_figures(tmp_path) == []
    assert timeline(tmp_path) is load_and_memory(tmp_path) is None
    assert run_figures(tmp_path) == []


def test_shares_of_time_are_those_of_the_steps() -> None:
    time = RunTime(_record(ranks=3, items=2))
    shares = time.shares(1, np.array([0.0, 1.0, 2.0, 3.0, 4.0]))
    told = dict(zip(RANK_ACTIVITIES, shares, strict=True))
    # An item takes two seconds: half a second to wait, then one to read, half to reduce.
    assert told[WAITING] == pytest.approx([0.5, 0, 0.5, 0])
    assert told["read"] == pytest.approx([0.5, 0.5, 0.5, 0.5])
    assert told["reduce"] == pytest.approx([0, 0.5, 0, 0.5])
    assert time.shares(0, np.array([0.0, 4.0])).sum() == 0


def test_executions_stand_end_to_end_without_the_pause_between_them() -> None:
    first, second = _record(ranks=3, items=2), _record(ranks=3, items=2, execution=1, start=9e5)
    time = RunTime(_both(first, second))
    assert time.seconds == pytest.approx(8)
    assert time.offsets == pytest.approx([0, 4])
    assert time.shares(1, np.array([0.0, 4.0, 8.0])).sum(axis=0) == pytest.approx([1, 1])


@pytest.mark.parametrize("ranks", [1, 2, 3, 1002])
def test_no_two_words_of_a_figure_overlap(ranks: int, tmp_path: Path) -> None:
    write_archive(tmp_path / RESOURCES, _record(ranks=ranks, items=4 * ranks, ends=7))
    figures = run_figures(tmp_path)
    assert len(figures) == 3
    for one in figures:
        assert Image.open(io.BytesIO(one.png(dpi=60))).size[0] == 660
        boxes = _boxes(one)
        for place, (word, box) in enumerate(boxes):
            for other, another in boxes[place + 1 :]:
                assert not box.overlaps(another), f"{one.name}: {word!r} lies on {other!r}"
    assert any("item 3, ees (read): out-of-memory" in word for word in _words(figures[0]))


@pytest.mark.parametrize("ranks", [1, 2, 3, 64])
def test_no_worker_has_a_rank_between_two_numbers(ranks: int, tmp_path: Path) -> None:
    write_archive(tmp_path / RESOURCES, _record(ranks=ranks, items=4 * ranks))
    figures = {one.name: one.figure for one in run_figures(tmp_path)}
    ticks = [axes.get_xticks() for axes in figures["stacks"].axes]
    ticks.append(figures["load"].axes[0].get_yticks())  # numbers of workers
    for each in ticks:
        assert len(each)
        assert all(float(tick).is_integer() for tick in each)


def _with_own_steps(record: Record) -> Record:
    """As if the time in which ranks did nothing known were two steps of a phase "density"."""
    spent = np.zeros_like(record.steps.spent)
    spent[:, ACTIVITIES.index("other")] = record.steps.seconds
    samples = record.samples
    step = np.where(np.arange(len(samples)) % 2, "fit", "$read$")
    phase = np.full(len(samples), "density")
    return replace(
        record,
        steps=replace(record.steps, spent=spent, phase=np.full(len(record.steps), "density")),
        samples=replace(samples, phase=phase, step=step, activity=np.full(len(samples), "other")),
    )


def test_steps_of_your_phases_have_colours_of_their_own(tmp_path: Path) -> None:
    record = _with_own_steps(_record(ranks=3, items=4))
    time = RunTime(record)
    assert set(time.own_steps) == {"density: fit", "density: $read$"}
    edges = np.arange(0.0, 9.0)
    shares = dict(zip(time.kinds, time.shares(1, edges), strict=True))
    assert shares["other"] == pytest.approx(0)
    named = shares["density: fit"] + shares["density: $read$"]
    assert named == pytest.approx(1)
    # A sample a second: the steps take turns.
    assert set(np.round(shares["density: fit"], 6)) == {0.0, 1.0}
    write_archive(tmp_path / RESOURCES, record)
    figures = {one.name: one for one in run_figures(tmp_path)}
    for name in ("timeline", "load", "memory"):
        assert {"density: fit", "density: $read$"} <= _words(figures[name]), name
    assert "most in density: " in figures["memory"].text
    assert "150 MB" in figures["memory"].text


def test_activities_of_your_phases_stay_and_many_steps_are_other() -> None:
    record = _record(ranks=3, items=20)
    names = np.array([f"step {number % 9}" for number in range(len(record.samples))])
    phase = np.full(len(record.samples), "mine")
    time = RunTime(replace(record, samples=replace(record.samples, phase=phase, step=names)))
    assert len(time.own_steps) == MOST_STEPS
    shares = dict(zip(time.kinds, time.shares(1, np.array([0.0, 4.0])), strict=True))
    assert shares["read"] == pytest.approx(0.5)  # by `doing`, not by a step


def test_a_part_may_be_given_by_clock_times() -> None:
    start = 1_000_000_000.0  # 2001-09-09 01:46:40 UTC
    first = _record(ranks=3, items=2, start=start)
    second = _record(ranks=3, items=2, execution=1, start=start + 86400)
    time = RunTime(_both(first, second))

    def span(words: str) -> tuple[float, float]:
        return time.span(*between(words))

    assert span("01:46:41Z,01:46:43Z") == pytest.approx((1, 3))
    assert span("2001-09-09 01:46:41,2001-09-10T01:46:42Z") == pytest.approx((1, 6))
    assert span("2001-09-09 01:46:41 UTC, 01:47Z") == pytest.approx((1, 4))
    assert span("2001-09-09 01:00Z,2001-09-09 12:00Z") == pytest.approx((0, 4))  # ends in the pause
    assert span("1,2.5") == (1, 2.5)
    # Of the days that clock times may be of, the one that has most of the run.
    time = RunTime(first)
    assert span("00:00Z,23:59Z") == pytest.approx((0, 4))
    assert span("00:00Z,01:46:43Z") == pytest.approx((0, 3))
    assert span("14:00Z,13:00Z") == pytest.approx((0, 4))
    time = RunTime(_both(first, second))
    assert [time.clock_at(at) for at in (0.0, 3.0, 5.0)] == ["01:46:40", "01:46:43", "01:46:41"]
    assert time.day == "2001-09-09"


@pytest.mark.parametrize(
    "words",
    ["", ",", "1", "5,3", "1,2,3", "nan,1", "1,inf", "-5,-1", "25:00Z,26:00Z", "x,y", "1:2:3:4,5",
     "2001-99-99 00:00,2", "9e99,1e100", "900000,900001", "2050-01-01 00:00,2051-01-01 00:00",
     "2001-01-01 00:00Z,2001-01-02 00:00Z", "1;2"],
)  # fmt: skip
def test_whatever_is_given_as_a_part_is_a_sentence_at_most(
    sampled: Path, tmp_path: Path, words: str
) -> None:
    told = spectro_mpi_here("report", sampled, f"--between={words}", "--output", tmp_path)
    assert told.code == 2
    assert "Traceback" not in told.err
    assert "--between" in told.err
    assert list(tmp_path.iterdir()) == []


def test_the_axis_tells_the_clock_beside_the_time_of_the_run(sampled: Path) -> None:
    figure = timeline(sampled)
    time = read_run_time(sampled)
    assert figure is not None
    assert time is not None
    assert any(f"clock (UTC), from {time.day}" in word for word in _words(figure))
    figure.figure.draw_without_rendering()
    labels = [label.get_text() for label in figure.figure.axes[0].get_xticklabels()]
    assert any(re.fullmatch(r"[\d:. s]+\n\d\d:\d\d:\d\d", label) for label in labels)


def test_times_are_told_as_clocks() -> None:
    assert [seconds_at(one) for one in ("7.5", "1:01", "1:02:05")] == [7.5, 61, 3725]
    assert [clock(one) for one in (0, 61, 3600 + 125)] == ["0:00", "1:01", "1:02:05"]


def _words(figure: RunFigure) -> set[str]:
    root = ElementTree.fromstring(figure.svg())
    return {"".join(one.itertext()) for one in root.iter(f"{SVG}text")}


def _boxes(figure: RunFigure) -> list[tuple[str, Bbox]]:
    """What is written in a figure, and where."""
    figure.figure.draw_without_rendering()
    found = []
    for axes in figure.figure.axes:
        for text in axes.findobj(Text):
            if text.get_text() and text.get_visible() and text.get_figure() is not None:
                if not _is_shown(axes, text):
                    continue
                found.append((text.get_text(), text.get_window_extent().padded(-1)))
    return found


def _is_shown(axes: object, text: object) -> bool:
    """Whether it is drawn: labels of ticks outside of the axes' limits are not."""
    ticks = [*axes.xaxis.get_major_ticks(), *axes.yaxis.get_major_ticks()]  # type: ignore[attr-defined]
    for tick in ticks:
        if text in (tick.label1, tick.label2):
            low, high = sorted(
                axes.get_xlim() if tick in axes.xaxis.get_major_ticks() else axes.get_ylim()  # type: ignore[attr-defined]
            )
            return bool(low <= tick.get_loc() <= high and text.get_visible())  # type: ignore[attr-defined]
    return True


def _record(
    ranks: int, items: int, execution: int = 0, start: float = 1e5, ends: int = 0
) -> Record:
    """A run whose every item takes two seconds of the worker that comes next."""
    workers = list(range(1, ranks - 1)) or [ranks - 1]
    rounds = math.ceil(items / len(workers))
    spent = [1.0 if one == "read" else 0.5 if one == "reduce" else 0.0 for one in ACTIVITIES]
    steps = [
        (execution, workers[place % len(workers)], start + 2 * (place // len(workers)), 2.0,
         "reduce", str(place), 10**6, 0, 100.0, spent)
        for place in range(items)
    ]  # fmt: skip
    samples = [
        (execution, rank, start + at, 1.0, 0.1, 0.8, 50.0, 100.0, 1.0, 1.0, "", "", "", "")
        for rank in range(ranks)
        for at in range(1, 2 * rounds + 1)
    ]
    lost = [
        (execution, workers[0], start + 0.3 * place, "reduce", str(place), "ees", "read",
         "out-of-memory", "", 900.0, 800.0, 0)
        for place in range(ends)
    ]  # fmt: skip
    roles = {0: "coordinator", ranks - 1: "writer"}
    told = [
        (execution, rank, f"node{rank // 64}", 1, "worker" if rank in workers else roles[rank],
         start, start + 2 * rounds, "done", 1.0, 64, 2e5, 0.0, "", math.nan, "done")
        for rank in range(ranks)
    ]  # fmt: skip
    hosts = sorted({str(row[2]) for row in told})
    nodes = [
        (execution, 0, start + at, host, 60.0, 61.0, 1e5, 0)
        for at in range(1, 2 * rounds + 1)
        for host in hosts
    ]
    plans = [(execution, 0, start, "reduce", worker, rounds, rounds * 10**6) for worker in workers]
    return Record(
        samples=table_of(Samples, samples),
        nodes=table_of(Nodes, nodes),
        steps=table_of(Steps, steps),
        ends=table_of(Ends, lost),
        plans=table_of(Plans, plans),
        ranks=table_of(Ranks, told),
    )


def _both(one: Record, two: Record) -> Record:
    return Record(
        **{
            field.name: joined(
                type(getattr(one, field.name)),
                [getattr(one, field.name), getattr(two, field.name)],
            )
            for field in fields(Record)
        }
    )
