"""How long phases took is read from the record of resources, whatever the phases are called."""

from __future__ import annotations

import math
from pathlib import Path

from spectro_mpi.report.phase_times import phase_times
from spectro_mpi.resources import Plans, Ranks, Record, Steps, read_steps
from spectro_mpi.resources.tables import table_of
from spectro_mpi.system.activity import ACTIVITIES
from tests.conftest import spectro_mpi

_SPENT = [0.0] * len(ACTIVITIES)


def step(rank: int, begin: float, seconds: float, phase: str, execution: int = 0) -> list[object]:
    """A row of table `steps`."""
    return [execution, rank, begin, seconds, phase, "13312", 10, 0, 100.0, _SPENT]


def test_a_phase_has_its_workers_items_rate_and_efficiency() -> None:
    record = Record(
        plans=table_of(Plans, [[0, 0, 100.0, "my-phase", rank, 2, 20] for rank in (1, 2)]),
        steps=table_of(Steps, [step(1, 101.0, 3.0, "my-phase"), step(2, 101.0, 9.0, "my-phase")]),
        ranks=_ranks(4),
    )
    (time,) = phase_times(record)
    assert (time.phase, time.ranks, time.workers, time.items, time.done) == ("my-phase", 4, 2, 4, 2)
    assert (time.seconds, time.rate, time.efficiency) == (10.0, 0.2, 12 / 20)


def test_a_phase_that_begins_again_is_listed_twice_and_writing_is_no_phase() -> None:
    record = Record(
        plans=table_of(Plans, [[0, 0, begin, "plot", 1, 1, 10] for begin in (100.0, 200.0)]),
        steps=table_of(
            Steps,
            [
                step(1, 101.0, 1.0, "plot"),
                step(1, 201.0, 1.0, "plot"),
                step(2, 102.0, 1.0, "write plot"),
            ],
        ),
        ranks=_ranks(3),
    )
    assert [(time.begin, time.done, time.busy) for time in phase_times(record)] == [
        (100.0, 1, 1.0),
        (200.0, 1, 1.0),
    ]


def test_the_report_has_times_and_links_to_the_log_of_a_phase_with_a_dash_in_its_name(
    settings: Path,
) -> None:
    (settings.parent / "own.py").write_text(
        "from spectro_mpi import Artifact, Phase\n"
        "class Own(Phase):\n"
        "    name = 'my-phase'\n"
        "    needs = (Artifact('spectrograms'),)\n"
        "    def run(self, item, inputs, context):\n"
        "        context.status('a step')\n"
        "        if item.id == '13313':\n"
        "            raise ValueError('as planted')\n"
    )
    phases = 'phases=["reduce", "own.py:Own"]'
    done = spectro_mpi("run", settings, "-s", phases, "-s", "select.orbits=13312-13313")
    assert done.code == 3
    run_dir = settings.parent / "runs" / "fast"
    assert spectro_mpi("report", run_dir).code == 0
    page = (run_dir / "report" / "index.html").read_text()
    assert "<td>my-phase</td>" in page
    log = page.partition("as planted")[0].rpartition("<tr")[2] + page.partition("as planted")[2]
    assert 'href="parts/rank-0000.log.' in log.partition("</tr>")[0]


def test_what_the_writer_wrote_is_sampled_in_bytes(sampled: Path) -> None:
    steps = read_steps(sampled)
    assert steps is not None
    written = steps.size[steps.phase == "write reduce"]
    assert len(written)
    assert written.sum() > 100_000
    assert not steps.size[steps.phase == "write plot"].any()


def _ranks(size: int) -> Ranks:
    row = ["here", 7, "worker", 90.0, math.nan, "", 1.0, 2, 1e4, 0.0, "", math.nan, ""]
    return table_of(Ranks, [[0, rank, *row] for rank in range(size)])
