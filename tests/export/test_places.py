"""Where the spacecraft was: in lists of items, and on matplotlib figures; limits by pitch angle."""

from __future__ import annotations

import pytest

from spectro_mpi.rundir.counts import PhaseCount, before_phase
from spectro_mpi.rundir.reader import Run
from tests.conftest import spectro_mpi


def test_items_are_found_by_where_they_were(run: Run) -> None:
    low, high = run.items.rows[0].ilat or (0.0, 0.0)
    assert 0 < low < high < 90
    inside = run.items.where(ilat=(high - 0.5, high + 0.01))
    assert "13312" in inside
    assert run.items.where(ilat=(-90, -89.99)) == []
    night, day = run.items.where(mlt=(22, 2)), run.items.where(mlt=(2, 22))
    assert set(night) | set(day) == set(run.items)
    assert run.items.where(mlt=(11, 13), ilat=(-90, -89.99)) == []


def test_a_figure_has_the_labels_of_the_ephemeris(run: Run) -> None:
    figure = run.figure("13312", "ees", kind="angle")
    figure.canvas.draw()
    axis = next(ax for ax in figure.axes[::-1] if ax.get_xlim()[0] > 1000)
    labels = [label.get_text() for label in axis.get_xticklabels()]
    assert all(label.count("\n") == 3 for label in labels)
    texts = [text.get_text() for text in axis.texts]
    assert "\nALT (km)\nILAT (°)\nMLT (h)" in texts


def test_limits_of_figures_by_pitch_angle(run: Run) -> None:
    limits = run.limits("13312", "ees-angles", "1000-40000")
    assert limits is not None
    assert (limits.y_min, limits.y_max) == (0.0, 360.0) and limits.z_max > limits.z_min > 0
    assert run.limits("13312", "ees-angles") == run.limits("13312", "ees-angles", "100-1000")
    with pytest.raises(KeyError, match="has no category x; it has 100-1000, 1000-40000"):
        run.limits("13312", "ees-angles", "x")


def test_a_resumed_phase_counts_all_items_of_the_run(run: Run) -> None:
    assert before_phase(run.progress, "plot", 1) is None
    done = before_phase(run.progress, "plot", 0)
    assert done == PhaseCount("plot", 3, 0, 3)
    resumed = PhaseCount("plot", 3, 0, 5).with_more(1, 1)
    assert resumed.words == "4 of 5 items done, 1 failed"


def test_only_the_first_rank_says_what_is_wrong_with_arguments() -> None:
    ranks = [{"PMI_RANK": str(rank), "PMI_SIZE": "2"} for rank in range(2)]
    first, second = (spectro_mpi("draw", env=env) for env in ranks)
    assert first.code == second.code == 2
    assert "arguments are required" in first.err and second.err == ""
