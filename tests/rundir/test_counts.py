"""Of every phase, the items done, failed, not possible and left add up to all items."""

from __future__ import annotations

from spectro_mpi.errors import Failure
from spectro_mpi.rundir.counts import PhaseCount, item_count, phase_counts
from spectro_mpi.rundir.progress import Progress


def progress(settled: dict[str, str], failed: dict[str, str], stored: str) -> Progress:
    """A run of six items a to f; phase → items settled, item → phases in which it failed."""
    run = Progress("fast", items_total=6, phases=("reduce", "sums", "plot"))
    for phase, items in settled.items():
        run.settled[phase] = set(items)
    for item, phases in failed.items():
        run.failures[item] = tuple(Failure("ees", phase, "generic", "") for phase in phases.split())
    run.stores["reduce"] = dict.fromkeys(stored, "shard")
    return run


def test_each_phase_counts_what_failed_in_it_and_what_an_earlier_one_made_impossible() -> None:
    run = progress(
        {"reduce": "abcdef", "sums": "abcd", "plot": "abc"},
        {"f": "reduce", "e": "reduce", "d": "reduce plot", "a": "sums"},
        stored="abcd",
    )
    run.totals["sums"] = 4
    reduce, sums, plot = phase_counts(run)
    assert reduce == PhaseCount("reduce", done=3, failed=3, total=6)
    assert sums == PhaseCount("sums", done=3, failed=1, total=6, not_possible=2)
    assert plot == PhaseCount("plot", done=3, failed=0, total=6, not_possible=2)
    assert [count.left for count in (reduce, sums, plot)] == [0, 0, 1]


def test_what_is_not_possible_is_known_only_once_the_earlier_phases_are_complete() -> None:
    run = progress({"reduce": "abf", "sums": "", "plot": ""}, {"f": "reduce"}, stored="ab")
    run.totals["sums"] = 2  # of an execution with fewer items
    reduce, sums, plot = phase_counts(run)
    assert (reduce.left, sums.left, plot.left) == (3, 6, 5)
    assert (sums.not_possible, plot.not_possible) == (0, 1)


def test_the_items_of_a_run_are_done_in_all_phases_or_failed_in_one() -> None:
    run = progress(
        {"reduce": "abcdef", "sums": "abcd", "plot": "abc"},
        {"f": "reduce", "d": "reduce plot", "a": "sums"},
        stored="abcd",
    )
    run.totals["sums"] = 4
    items = item_count(run)
    assert (items.done, items.failed, items.left, items.total) == (2, 3, 1, 6)  # e is to be drawn


def test_the_words_name_only_what_there_is() -> None:
    assert PhaseCount("plot", 12, 0, 12).words == "12 of 12 items done"
    assert PhaseCount("plot", 0, 1, 1).words == "0 of 1 item done, 1 failed"
    words = "3 of 12 items done, 2 failed, 1 not possible (an earlier phase failed)"
    assert PhaseCount("plot", 3, 2, 12, 1).words == words
