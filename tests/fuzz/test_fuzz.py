"""Every spoilt CDF file ends as done or as a recorded error, in its time."""

from __future__ import annotations

from pathlib import Path

from spectro_mpi.demo import DemoSummary
from tests.conftest import spectro_mpi_here
from tests.fuzz.inspections import LIMIT_MB, bomb, inspect_spoilt, is_a_sentence, originals_in
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


def test_inspect_ends_for_every_spoilt_file_within_its_memory(tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    found = inspect_spoilt(originals_in(tmp_path), spoilt, files=50, seed=1)
    assert sum(found.outcomes.values()) == 50
    assert found.outcomes["unreadable"] > 10


def test_inspect_refuses_a_small_file_that_inflates_beyond_its_memory(tmp_path: Path) -> None:
    path = tmp_path / "tst_20170101_v1.cdf"
    path.write_bytes(bomb(3 * LIMIT_MB))
    assert path.stat().st_size < 4 << 20
    done = spectro_mpi_here("inspect", path)
    assert is_a_sentence(done)
    assert "reading it takes more than" in done.err
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_seed_spoils_in_the_same_way() -> None:
    content = bytes(range(256)) * 100
    assert mutate(content, 3) == mutate(content, 3) != content
    assert len({mutate(content, seed) for seed in range(50)}) > 40
