"""Figures are named for the events that they show, and found by the rest of their names."""

from __future__ import annotations

import pytest

from spectro_mpi.draw.names import ExpectedFigure, expected_figures, find_figures, find_looks
from spectro_mpi.model.marks import slug
from spectro_mpi.settings.schema import Config, PlotSettings

PLOT = PlotSettings(scales=(("log", "log"),), limits=("raw",), colormap="viridis")
PITCH, GRID = expected_figures(Config(plot=PLOT), ["ees"])


def test_a_figure_is_named_for_the_labels_it_shows_in_the_order_of_time() -> None:
    tail = "pitch-angle_ESA_ees_y-log_z-log_raw-viridis.png"
    assert PITCH.name("13312") == f"13312_{tail}"
    assert PITCH.name("13312", ["cusp"]) == f"13312_cusp_{tail}"
    labels = ["Inverted V", "cusp", "inverted-v", "cusp"]
    assert PITCH.name("13312", labels) == f"13312_inverted-v-cusp_{tail}"


def test_a_figure_of_all_instruments_is_never_named_for_events() -> None:
    name = "13312_instrument-grid_ESA_y-log_z-log_raw-viridis.png"
    assert GRID.name("13312", ["cusp"]) == GRID.name("13312") == name


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("cusp", "cusp"),
        ("Inverted  V", "inverted-v"),
        ("$B_z$ < 0", "b-z-0"),
        ("--a__b/../c--", "a-b-c"),
        ("Überschuss", "berschuss"),
        ("磁気圏", "event"),
        ("$", "event"),
        ("", "event"),
    ],
)
def test_slugs_hold_letters_digits_and_hyphens(label: str, expected: str) -> None:
    assert slug(label) == expected


def word(name: str) -> str:
    return name.removeprefix("1_").removesuffix(f"_{PITCH.tail}")


def test_the_word_of_labels_is_cut_at_40_letters_and_ends_with_none_half() -> None:
    assert word(PITCH.name("1", ["x" * 50])) == "x" * 40
    assert word(PITCH.name("1", ["x" * 39, "cusp"])) == "x" * 39
    assert word(PITCH.name("1", ["x" * 38, "cusp"])) == "x" * 38 + "-c"


def test_figures_are_found_whatever_events_they_show() -> None:
    names = [
        PITCH.name("13312", ["cusp"]),
        GRID.name("13312"),
        PITCH.name("13312"),
        PITCH.name("13313"),  # of another item
        f"13312_Cusp_{PITCH.tail}",  # no slug
        f"13312_cusp_{GRID.tail}",  # never named for events
        f"13312_cusp_{PITCH.tail}.part",
        PITCH.name("13312").replace("viridis", "jet"),  # of other settings
    ]
    assert find_figures("13312", (PITCH, GRID), names) == {
        PITCH.tail: {"": names[2], "cusp": names[0]},
        GRID.tail: {"": names[1]},
    }


def test_names_of_items_and_instruments_may_look_like_labels() -> None:
    def figure(instrument: str) -> ExpectedFigure:
        return ExpectedFigure(PITCH.kind, instrument, ("log", "log"), "raw", instrument, "jet")

    # "a_b-jet.png" is the figure of instrument a_b, not that of b with events called a.
    figures = [figure("b"), figure("a_b")]
    names = ["1_a_b-jet.png", "1_b-jet.png", "1_a_a_b-jet.png"]
    assert find_figures("1", figures, names) == {
        "a_b-jet.png": {"": "1_a_b-jet.png", "a": "1_a_a_b-jet.png"},
        "b-jet.png": {"": "1_b-jet.png"},
    }
    assert find_figures("1_a", figures, names) == {
        "b-jet.png": {"": "1_a_b-jet.png"},
        "a_b-jet.png": {"": "1_a_a_b-jet.png"},
    }
    assert find_looks("1", figures, [*names, "1_a_b-hot.png", "1_c-jet.png"]) == {
        figures[1].part: ["1_a_b-jet.png", "1_a_a_b-jet.png", "1_a_b-hot.png"],
        figures[0].part: ["1_b-jet.png"],
    }
