"""Every spoilt CDF file ends as done or as a recorded error, in its time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spectro_mpi.demo import DemoSummary, write_demo
from spectro_mpi.system.untrusted import memory_for
from tests.conftest import spectro_mpi, spectro_mpi_here
from tests.fuzz.inspections import LIMIT_MB, bomb, inspect_spoilt, is_a_sentence, originals_in
from tests.fuzz.mutate import mutate
from tests.fuzz.rounds import fuzz


def test_every_spoilt_file_is_done_or_a_recorded_error_within_its_limits(
    demo: DemoSummary, tmp_path: Path
) -> None:
    originals = sorted(demo.directory.glob("FAST_data/*/*/fa_esa_*_1331[23]_v01.cdf"))
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


def test_draw_and_inventory_refuse_it_too(tmp_path: Path) -> None:
    name = "fa_esa_l2_ees_20000101003403_13312_v01.cdf"
    path = tmp_path / "data" / name
    path.parent.mkdir()
    path.write_bytes(bomb(3 * LIMIT_MB))
    few = ("-s", "run.memory_limit_mb=300")
    drawn = spectro_mpi_here("draw", path, "-o", tmp_path / "x.png", *few)
    assert (drawn.code, len(drawn.err.splitlines())) == (2, 1)
    assert "reading it takes more than 300 MB" in drawn.err
    (tmp_path / "spectro-mpi.toml").write_text('input = "data"\n')
    settings = tmp_path / "spectro-mpi.toml"
    listed = spectro_mpi_here("inventory", settings, "--damaged", "-v", *few)
    assert (listed.code, listed.out) == (3, f"{path}\n")
    assert "larger than the memory" in listed.err
    assert memory_for(path.stat().st_size) < 3 * LIMIT_MB  # without the setting


def test_a_pipe_called_like_a_cdf_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tst_20170101_v1.cdf")
    for command in ("draw", "inspect"):
        words = ("-o", tmp_path / "x.png") if command == "draw" else ()
        done = spectro_mpi_here(command, tmp_path / "tst_20170101_v1.cdf", *words)
        assert done.code == 2
        assert "is not a file" in done.err


@pytest.mark.parametrize(
    ("words", "function", "code"),
    [
        (("inspect",), "instruments.inspection._inspect_here", 2),
        (("draw", "-o", "x.png"), "operations.draw_source._reduced", 2),
        (("inventory", "spectro-mpi.toml", "--damaged"), "operations.damaged._why", 2),
    ],
)
def test_a_file_system_that_does_not_answer_is_told(
    tmp_path: Path, words: tuple[str, ...], function: str, code: int
) -> None:
    """What reads a file sleeps, as on a server that does not answer."""
    demo = write_demo(tmp_path / "demo", orbits=1, seed=1)
    path = next(demo.directory.rglob("fa_esa_l2_*.cdf"))
    (tmp_path / "spectro-mpi.toml").write_text(f'input = "{demo.directory / "FAST_data"}"\n')
    module, _, name = f"spectro_mpi.{function}".rpartition(".")
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, time, importlib\n"
        f"module = importlib.import_module({module!r})\n"
        "module._SILENT_SECONDS = 1\n"
        "if 'multiprocessing.spawn' in str(sys.orig_argv):\n"
        f"    module.{name} = lambda *_, **__: time.sleep(600)\n"
    )
    file = () if words[0] == "inventory" else (path,)
    env = {"PYTHONPATH": str(tmp_path)}
    done = spectro_mpi(words[0], *file, *words[1:], cwd=tmp_path, env=env, timeout=60)
    assert done.code == code
    assert len(done.err.splitlines()) == 1
    assert "cannot be read: the file system has not answered for 1 s" in done.err


def test_the_same_seed_spoils_in_the_same_way() -> None:
    content = bytes(range(256)) * 100
    assert mutate(content, 3) == mutate(content, 3) != content
    assert len({mutate(content, seed) for seed in range(50)}) > 40
