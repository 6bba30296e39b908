"""The memory limit of the control group is found, and shared among the ranks of a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectro_mpi.settings.schema import RunSettings
from spectro_mpi.system import limits as memory
from spectro_mpi.system.limits import cgroup_limit, share_of_limit

GB = 1 << 30


def group(root: Path, name: str, limits: dict[str, str]) -> None:
    for folder, limit in limits.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / name).write_text(f"{limit}\n")


def test_version_2_the_smallest_limit_on_the_way_up(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("0::/slurm/job_7/step_0\n")
    group(
        tmp_path / "fs",
        "memory.max",
        {"slurm/job_7/step_0": "max", "slurm/job_7": str(2 * GB), "slurm": str(GB // 2 * 5)},
    )
    assert cgroup_limit(own, tmp_path / "fs") == 2 * GB


def test_version_1_and_a_container_that_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("9:cpuset:/\n4:cpu,memory:/docker/abc\n0::/\n")
    group(tmp_path / "fs", "memory.limit_in_bytes", {"memory": str(GB)})
    assert cgroup_limit(own, tmp_path / "fs") == GB
    group(tmp_path / "fs", "memory.limit_in_bytes", {"memory": "9223372036854771712"})
    assert cgroup_limit(own, tmp_path / "fs") == 0


def test_no_control_group_no_limit(tmp_path: Path) -> None:
    assert cgroup_limit(tmp_path / "none", tmp_path) == 0


def test_ranks_share_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "cgroup_limit", lambda: 8 * GB)
    assert share_of_limit(4) == 2 * GB
    assert RunSettings().memory_limit_mb == 0
