"""A start looks at each folder of modules once, and finds what Python itself would find."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SEARCH = """
import importlib, sys
from pathlib import Path
from spectro_mpi.system.imports import read_folders_once

here = Path({here!r})
sys.path[:0] = [str(here), str(here / "packed.zip"), str(here / "absent")]
read_folders_once()
{rest}
"""


def searched(here: Path, rest: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SEARCH.format(here=str(here), rest=rest)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plain.py").write_text("value = 'plain'\n")
    (tmp_path / "package" / "inner").mkdir(parents=True)
    (tmp_path / "package" / "__init__.py").write_text("value = 'package'\n")
    (tmp_path / "package" / "inner" / "__init__.py").write_text("")
    (tmp_path / "package" / "inner" / "deep.py").write_text("value = 'deep'\n")
    (tmp_path / "spread").mkdir()  # a namespace package
    (tmp_path / "spread" / "part.py").write_text("value = 'part'\n")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.writestr("zipped.py", "value = 'zipped'\n")
    return tmp_path


def test_all_kinds_of_modules_are_found(folder: Path) -> None:
    names = ("plain", "package", "package.inner.deep", "spread.part", "zipped")
    rest = (
        f"for name in {names}: print(importlib.import_module(name).value)\nimport h5py, fractions"
    )
    assert searched(folder, rest).split() == ["plain", "package", "deep", "part", "zipped"]


def test_a_changed_module_is_compiled_again(folder: Path) -> None:
    assert searched(folder, "import plain; print(plain.value)") == "plain\n"
    (folder / "plain.py").write_text("value = 'another text'\n")
    assert searched(folder, "import plain; print(plain.value)") == "another text\n"


def test_a_module_that_comes_later_is_found_when_caches_are_invalidated(folder: Path) -> None:
    rest = """
import plain
(here / "later.py").write_text("value = 'later'")
importlib.invalidate_caches()
import later
print(later.value)
"""
    assert searched(folder, rest) == "later\n"


def test_a_module_that_is_not_there_is_missed_as_always(folder: Path) -> None:
    rest = """
try:
    import package.absent
except ModuleNotFoundError as error:
    print(error)
"""
    assert searched(folder, rest) == "No module named 'package.absent'\n"


@pytest.mark.skipif(sys.platform != "linux", reason="uname is not called elsewhere")
def test_hdf5_starts_no_other_process() -> None:
    code = (
        "from spectro_mpi.system.imports import name_processor\n"
        "name_processor()\n"
        "import subprocess\n"
        "def none(*_, **__): raise AssertionError('a process was started')\n"
        "subprocess.Popen = none\n"
        "import h5py, platform; print(platform.processor() == platform.machine())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
