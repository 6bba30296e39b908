"""Previews of a month in a few files: the same files whatever happened before."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spectro_mpi.previews import packs
from spectro_mpi.previews.packs import (
    has_unpacked,
    pack_previews,
    packed_file,
    packed_files,
    packed_months,
)
from spectro_mpi.previews.preview import write_preview
from spectro_mpi.previews.scripts import call

MONTH = "2000/01"
ITEMS = [str(number) for number in range(9990, 10040)]


def preview_of(item: str, look: str = "", scripts: int = 1) -> dict[str, bytes]:
    """The files of a preview: endings of their names → contents."""
    sheet = b"\xff\xd8" + f"{item}{look}".encode() * 2000
    ends = ["", *(f"~{number}" for number in range(1, scripts))]
    heads = [call("item", {"figures": {item: look}}, {"ees/0": "x" * 90_000})]
    heads += [call("part", {f"ees/{number}": "y" * 90_000}) for number in range(1, scripts)]
    return {".jpg": sheet} | {f"{end}.js": head for end, head in zip(ends, heads, strict=True)}


def draw(run_dir: Path, items: list[str], look: str = "", month: str = MONTH) -> None:
    """Write previews as the processes that draw do."""
    for item in items:
        scripts = 12 if int(item) % 10 == 5 else 1
        write_preview(run_dir, month, item, preview_of(item, look, scripts))


def files(run_dir: Path) -> dict[str, bytes]:
    root = run_dir / "report" / "items"
    found = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def assert_holds(run_dir: Path, item: str, look: str = "") -> None:
    for end, content in preview_of(item, look, 12 if int(item) % 10 == 5 else 1).items():
        assert packed_file(run_dir, MONTH, f"{item}{end}") == content


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir()
    return path


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, bytes]:
    """The files of a month whose previews are packed at once."""
    path = tmp_path / "expected"
    path.mkdir()
    draw(path, ITEMS)
    pack_previews(path)
    return files(path)


def test_processes_that_share_the_months_pack_what_one_would(run_dir: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    months = ["1996/09", "1996/10", "1997/01"]
    for path in (run_dir, whole):
        path.mkdir(exist_ok=True)
        for month in months:
            draw(path, ITEMS[:20], month=month)
    pack_previews(whole)
    counts = [pack_previews(run_dir, share=share, shares=2) for share in (0, 1)]
    assert counts[0] == 2 * counts[1] > 0
    assert not has_unpacked(run_dir)
    assert files(run_dir) == files(whole)


def test_a_month_is_in_few_files_of_bounded_size(run_dir: Path) -> None:
    draw(run_dir, ITEMS)
    before = files(run_dir)
    assert has_unpacked(run_dir)
    assert pack_previews(run_dir) == len(before) == 50 * 2 + 5 * 11
    after = files(run_dir)
    assert not has_unpacked(run_dir)
    assert len(after) < 0.5 * len(ITEMS)
    assert max(map(len, after.values())) < 2_000_000
    sheets = [len(content) for name, content in after.items() if "/sheets-" in name]
    assert max(sheets) <= 1 << 18
    assert packed_files(run_dir) == set(before)
    for item in ITEMS:
        assert_holds(run_dir, item)


def test_neighbours_are_in_one_pack_and_packs_in_the_order_of_the_items(run_dir: Path) -> None:
    draw(run_dir, ITEMS[::-1])
    pack_previews(run_dir)
    folder = run_dir / "report" / "items" / MONTH / "packs"
    listed = json.loads((folder / "catalogue.js").read_text()[len("spectroMpi.catalogue(") : -3])
    sheets = [names for pack, names in sorted(listed.items()) if pack.startswith("sheets")]
    assert [name for names in sheets for name in names] == [f"{item}.jpg" for item in ITEMS]


def test_packed_again_and_again_as_the_run_goes_on_they_are_the_same_bytes(
    run_dir: Path, expected: dict[str, bytes]
) -> None:
    for some in (ITEMS[10:20], ITEMS[:3], ITEMS[40:], ITEMS[3:10], ITEMS[20:40]):
        draw(run_dir, some)
        pack_previews(run_dir)
    assert files(run_dir) == expected


def test_only_what_changes_is_written_again(run_dir: Path) -> None:
    draw(run_dir, ITEMS)
    draw(run_dir, ITEMS, month="2000/02")
    pack_previews(run_dir)
    digests = packed_months(run_dir)
    places = {path: path.stat().st_ino for path in run_dir.rglob("*") if path.is_file()}
    draw(run_dir, [ITEMS[-1]], "new")
    pack_previews(run_dir)
    assert_holds(run_dir, ITEMS[-1], "new")
    assert_holds(run_dir, ITEMS[0])
    changed = {
        path for path, place in places.items() if not path.exists() or path.stat().st_ino != place
    }
    assert len(changed) == 3, "two packs and a catalogue"
    assert all(f"{MONTH}/packs" in str(path) for path in changed)
    after = packed_months(run_dir)
    assert after["2000/02"] == digests["2000/02"]
    assert after[MONTH] != digests[MONTH]


def test_a_preview_with_fewer_files_replaces_all_of_the_earlier_one(run_dir: Path) -> None:
    write_preview(run_dir, MONTH, "13315", preview_of("13315", "", 4))
    write_preview(run_dir, MONTH, "133", preview_of("133", "", 1))
    pack_previews(run_dir)
    assert f"{MONTH}/13315~3.js" in packed_files(run_dir)
    write_preview(run_dir, MONTH, "13315", {".js": call("item", {}, {})})
    pack_previews(run_dir)
    assert packed_files(run_dir) == {
        f"{MONTH}/{name}" for name in ("13315.js", "133.js", "133.jpg")
    }


class Killed(BaseException):
    """In place of SIGKILL: nothing in the program catches it."""


def killed_after(calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process die after so many changes of the file system."""
    done = [0]

    def counted(change: Callable[..., object]) -> Callable[..., object]:
        def call_or_die(*words: object, **more: object) -> object:
            done[0] += 1
            if done[0] > calls:
                raise Killed
            return change(*words, **more)

        return call_or_die

    for owner, name in (
        (Path, "replace"),
        (Path, "unlink"),
        (Path, "mkdir"),
        (os, "fsync"),
        (packs, "write_part"),
    ):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))


def kill_points() -> Iterator[int]:
    yield from range(0, 32, 3)
    yield from range(32, 230, 17)


@pytest.mark.parametrize("earlier", [[], ITEMS[:20]], ids=["first", "again"])
def test_killed_at_any_time_it_goes_on_to_the_same_bytes(
    run_dir: Path, expected: dict[str, bytes], tmp_path: Path, earlier: list[str]
) -> None:
    draw(run_dir, earlier, "old")
    pack_previews(run_dir)
    draw(run_dir, ITEMS)
    finished = False
    for calls in kill_points():
        copy = Path(shutil.copytree(run_dir, tmp_path / f"copy-{calls}"))
        with pytest.MonkeyPatch.context() as patch:
            killed_after(calls, patch)
            try:
                pack_previews(copy)
                finished = True
            except Killed:
                pass
        there = packed_files(copy) | set(files(copy))
        assert {f"{MONTH}/{item}.js" for item in ITEMS} <= there
        pack_previews(copy)
        assert files(copy) == expected
        shutil.rmtree(copy)
    assert finished, "the last points are after the end"


def damage_catalogue(folder: Path) -> None:
    (folder / "catalogue.js").write_bytes(b'spectroMpi.catalogue({"sheets-000')


def damage_types(folder: Path) -> None:
    (folder / "catalogue.js").write_bytes(b'spectroMpi.catalogue({"../../x": 3});\n')


def lose_packs(folder: Path) -> None:
    for path in folder.glob("values-*"):
        path.unlink()


def tear_packs(folder: Path) -> None:
    for path in folder.glob("*-*"):
        path.write_bytes(path.read_bytes()[:-99])


@pytest.mark.parametrize("damage", [damage_catalogue, damage_types, lose_packs, tear_packs])
def test_what_is_damaged_or_lost_is_left_out_and_can_be_made_again(
    run_dir: Path, expected: dict[str, bytes], damage: Callable[[Path], None]
) -> None:
    draw(run_dir, ITEMS)
    pack_previews(run_dir)
    damage(run_dir / "report" / "items" / MONTH / "packs")
    draw(run_dir, ITEMS[:1])
    pack_previews(run_dir)
    assert_holds(run_dir, ITEMS[0])
    draw(run_dir, ITEMS)
    pack_previews(run_dir)
    assert files(run_dir) == expected


def test_files_that_no_run_writes_stay_where_they_are(run_dir: Path) -> None:
    draw(run_dir, ITEMS[:2])
    folder = run_dir / "report" / "items" / MONTH
    (folder / "x.js").write_text("alert(1);\nalert(2);\n")
    (folder / "notes.txt").write_text("mine")
    (folder / "y.js").symlink_to(folder / "x.js")
    pack_previews(run_dir)
    assert {path.name for path in folder.iterdir()} == {"packs", "x.js", "y.js", "notes.txt"}
    assert not any("x.js" in name or "y.js" in name for name in packed_files(run_dir))


def test_a_pack_is_safe_in_a_page_whatever_items_are_called(run_dir: Path) -> None:
    item = "</script>&\"'\\"
    write_preview(run_dir, MONTH, item.replace("/", "_"), preview_of("1"))
    pack_previews(run_dir)
    for name, content in files(run_dir).items():
        assert name.endswith(".js")
        assert not re.search(rb"[<&\x80-\xff]", content)
    assert packed_file(run_dir, MONTH, f"{item.replace('/', '_')}.jpg") == preview_of("1")[".jpg"]
