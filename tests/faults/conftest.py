"""The settings and the undisturbed run that the faults are held against."""

from __future__ import annotations

import pytest

from spectro_mpi.demo import DemoSummary
from tests.conftest import NO_REPORT
from tests.faults.runs import Bench


@pytest.fixture(scope="session")
def bench(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Twelve items, seven of them damaged; small figures and batches of two items."""
    folder = tmp_path_factory.mktemp("faults")
    settings = folder / "spectro-mpi.toml"
    settings.write_text(
        f'input = "{demo.directory / "FAST_data"}"\n[plot]\ndpi = 50\n'
        'kinds = ["pitch-angle", "instrument-grid", "angle"]\n'
        f"[run]\nflush_batch_size = 2\n{NO_REPORT}"
    )
    bench = Bench(settings, folder / "runs" / "whole")
    done = bench.run("whole")
    assert done.code == 3, done.err
    return bench
