"""Every spoilt CDF file ends as done or as a recorded error, in its time."""

from __future__ import annotations

from pathlib import Path

from spectro_mpi.demo import DemoSummary
from tests.fuzz.mutate import mutate
from tests.fuzz.rounds import fuzz


def test_every_spoilt_file_is_done_or_a_recorded_error_within_its_limits(
    demo: DemoSummary, tmp_path: Path
) -> None:
    originals = sorted(demo.directory.glob("FAST_data/*/*/*_1331[23]_v01.cdf"))
    assert originals
    found = fuzz(originals, tmp_path, files=50, seed=1)
    assert sum(found.outcomes.values()) == 100
    assert found.late == []
    assert set(found.outcomes) <= {"done", "invalid-cdf", "timeout", "out-of-memory", "killed"}
    assert found.outcomes["invalid-cdf"] > 10


def test_the_same_seed_spoils_in_the_same_way() -> None:
    content = bytes(range(256)) * 100
    assert mutate(content, 3) == mutate(content, 3) != content
    assert len({mutate(content, seed) for seed in range(50)}) > 40
