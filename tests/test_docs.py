"""The documentation builds without a warning, its examples work, and it is true and plain."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import spectro_mpi as package
from spectro_mpi.rundir.reader import open_run
from spectro_mpi.settings.loading import config_from_text
from tests.conftest import spectro_mpi
from tests.istp_files import variables, write

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])

UNIDIOMATIC = (
    r"\bbut for\b",  # except
    r"\bin hand\b",  # current
    r"\bat hand\b",
    r"\btold\b",  # reported
    r"\bwanted\b",  # needed, expected
    r"\bis at\b(?! most| least)",  # is doing
    r"\bof (?:your|one's) own\b",  # your
    r"\bmade a(?:new|gain)\b",  # recreated
    r"\bgo(?:es)? on\b",  # continues, resumes
    r"\bcomes? to an end\b",  # finishes
    r"\blikewise\b",  # the same
    r"\bin mid-run\b",  # during a run
    r"\bSays so\b",
    r"\bsee to it\b",
    r"\btells? nothing but\b",
    r"\bThe way of the data\b",  # Data flow
    r"\bWhat is promised\b",  # Guarantees
    r"(?<![\d,.])1 items\b",
    r"\b(?:an?|one) (?:\w+ )?an? (?:batch|figure|item|month|node|orbit|rank|record|shard)\b",  # per
)
"""What a reader stumbles over; beside it, what to write instead."""


def blocks(page: str, *languages: str) -> list[tuple[str, str]]:
    """(language, text) of the fenced blocks of a page, in order."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", (DOCS / page).read_text(), re.M | re.S)
    return [(language, text) for language, text in found if language in languages]


@pytest.mark.slow
def test_the_site_builds_strictly_and_fetches_nothing_from_elsewhere(tmp_path: Path) -> None:
    for module in ("mkdocs", "material", "mkdocstrings"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed (pip install '.[docs]')")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 8
    fetched = re.compile(r'<(?:script|img|link)\b[^>]*\b(?:src|href)="(https?:)?//[^"]*"')
    for page in pages:
        assert not fetched.search(page.read_text()), page
    reference = (tmp_path / "reference" / "index.html").read_text()
    assert "Open a run directory for reading" in reference


def test_the_reference_names_all_that_the_package_offers() -> None:
    shown = set(
        re.findall(r"^::: spectro_mpi\.[\w.]*?(\w+)$", (DOCS / "reference.md").read_text(), re.M)
    )
    assert set(package.__all__) <= shown


def test_each_fault_of_the_readme_is_shown_by_a_test() -> None:
    table = (ROOT / "README.md").read_text().partition("| what happens |")[2].partition("\n\n")[0]
    rows = [row for row in table.splitlines()[2:] if row.startswith("|")]
    assert len(rows) > 30
    for row in rows:
        shown = re.search(r"`([\w/]+\.py)::(test_\w+)` \|$", row)
        assert shown, row
        assert f"def {shown[2]}(" in (ROOT / "tests" / shown[1]).read_text(), row


def test_the_settings_for_another_mission_work_as_they_stand(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "tst_l2_20170101_v1.cdf", variables())
    (_, settings), (_, energies) = blocks("another-mission.md", "toml")
    assert len(config_from_text(settings + energies, tmp_path, "").instrument[0].energy) == 5
    (tmp_path / "spectro-mpi.toml").write_text(settings)
    done = spectro_mpi("run", "--no-progress", "-s", "plot.dpi=40", cwd=tmp_path)
    assert done.code == 0, done.err
    run = open_run(tmp_path / "runs" / "tst_l2")
    assert run.items == ["20170101"]
    assert "parallel" in run.spectrogram("20170101", "protons").category


def test_each_room_of_the_code_is_in_the_table_once_and_on_its_floor() -> None:
    section = (DOCS / "design.md").read_text().partition("## Layout of the code\n")[2]
    rows = re.findall(r"^\| `([\w./]+)` \| (\w+) \| \S.* \|$", section.partition("\n## ")[0], re.M)
    shown = [name for name, _ in rows]
    code = ROOT / "src" / "spectro_mpi"
    rooms = [f"{path.parent.name}/" for path in code.glob("*/__init__.py")]
    assert sorted(shown) == sorted(rooms + [path.name for path in code.glob("*.py")])
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (one["layers"] for one in contracts["contracts"] if one["id"] == "floors")
    expected = [
        (room, str(len(layers) - place))
        for place, layer in enumerate(layers)
        for room in sorted(layer.split(" | "))
    ]
    on_floors = [(re.sub(r"/|\.py$", "", name), floor) for name, floor in rows if floor != "top"]
    # Rooms on one floor may be in any order.
    assert sorted(on_floors, key=lambda row: (-int(row[1]), row[0])) == expected
    floors = [int(floor) for _, floor in on_floors]
    assert floors == sorted(floors, reverse=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_prose_is_idiomatic(page: Path) -> None:
    text = page.read_text()
    stumbles = [
        f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]!r}"
        for pattern in UNIDIOMATIC
        # A phrase may be broken by the end of a line.
        for match in re.finditer(pattern.replace(" ", r"\s+"), text, re.I)
    ]
    assert not stumbles, "\n".join(stumbles)


@pytest.mark.slow
def test_the_page_on_physics_works_as_it_stands(tmp_path: Path) -> None:
    """Its commands one after the other, and its examples, which check what they find."""
    parts = blocks("physics.md", "sh", "python")
    assert [language for language, _ in parts] == ["sh", *["python"] * 3]
    (tmp_path / "page.py").write_text("".join(text for language, text in parts[1:]))
    script = f"set -e\n{parts[0][1]}\n{sys.executable} page.py\n"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for name in ("inverted-v", "conic", "cusp"):
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    assert "conic at " in done.stdout and "keV" in done.stdout
