"""The previews of a month in a few scripts, since two files for each item are many.

Processes that draw write the previews of an item as files of its own. At the end of a run they are
packed: each becomes a line of a script, in the order of the items, so that neighbours share one. A
catalogue says which script has which file. What a month's packs hold follows from its previews
alone, so they are the same after any number of interruptions. Whoever packs holds the lock of the
run, and can be killed at any time: files are removed once the catalogue that replaces them is on
disk, and a file goes before what a pack has of its item.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from spectro_mpi.model.items import item_order
from spectro_mpi.previews.scripts import call
from spectro_mpi.rundir.layout import PACKS, PREVIEWS, SCRIPT, SHEET
from spectro_mpi.settings.parsing import as_type, parsed_json
from spectro_mpi.system.atomic import commit, make_below, sweep, write_atomic, write_part
from spectro_mpi.system.regular import read_regular

_CATALOGUE = "catalogue.js"
_BYTES = {SHEET: 1 << 18, SCRIPT: 1 << 20}
"""Suffix of files → size that a pack of them has at most, unless a single file is larger.

A browser loads a whole pack for one thumbnail, or for the values of one item.
"""
_STEMS = {SHEET: "sheets", SCRIPT: "values"}
_PACK = re.compile(r"(sheets|values)-\d{3,}\.[0-9a-f]{10}\.js", re.ASCII)
_LINE = re.compile(rb'spectroMpi\.packed\(("(?:[^"\\\n]|\\.)*"),\(\)=>(.*)\);', re.DOTALL)
_CALL = re.compile(rb"spectroMpi\.(item|part)\([^\n]*\);\n")

Catalogue = dict[str, list[str]]
"""Pack → the files that it has, as they are called when they are on their own; in order."""


def packed_files(run_dir: Path) -> set[str]:
    """The paths `YYYY/MM/name` of the files that packs hold."""
    return {
        f"{month}/{name}"
        for month in _months(run_dir)
        for names in _catalogue_of(run_dir / PREVIEWS / month).values()
        for name in names
    }


def packed_months(run_dir: Path) -> dict[str, str]:
    """Month with packs, as "2000/01" → digest of its catalogue."""
    digests = {}
    for month in _months(run_dir):
        content = _content_of(run_dir / PREVIEWS / month)
        if content:
            digests[month] = _digest(content)
    return digests


def packed_file(run_dir: Path, month: str, name: str) -> bytes:
    """What a file of a preview holds, from the pack that has it.

    Raises `FileNotFoundError` if none has it, and `OSError` or `ValueError` if it cannot be read.
    """
    folder = run_dir / PREVIEWS / month
    for pack, names in _catalogue_of(folder).items():
        if name in names:
            return _unpacked(name, _lines_of(folder, pack)[name])
    raise FileNotFoundError(name)


def pack_previews(
    run_dir: Path,
    after_month: Callable[[], object] = lambda: None,
    share: int = 0,
    shares: int = 1,
) -> int:
    """Pack the previews that are files on their own; returns how many files were packed.

    Months without such files stay as they are. The caller holds the lock; `after_month` is called
    now and then. `share` of `shares`, from 0: several processes pack different months. Raises
    `OSError`.
    """
    count = 0
    for month in _months(run_dir)[share::shares]:
        count += _pack_month(run_dir, run_dir / PREVIEWS / month)
        after_month()
    return count


def has_unpacked(run_dir: Path) -> bool:
    """Whether there are previews to pack."""
    return any(_files_in(run_dir / PREVIEWS / month) for month in _months(run_dir))


def _months(run_dir: Path) -> list[str]:
    root = run_dir / PREVIEWS
    return [f"{year}/{month}" for year in _folders(root) for month in _folders(root / year)]


def _folders(folder: Path) -> list[str]:
    if folder.is_symlink():  # it would lead elsewhere
        return []
    try:
        with os.scandir(folder) as entries:
            return sorted(each.name for each in entries if each.is_dir(follow_symlinks=False))
    except OSError:
        return []


def _files_in(folder: Path) -> set[str]:
    """The names of files of previews in the folder of a month."""
    try:
        with os.scandir(folder) as entries:
            regular = [each.name for each in entries if each.is_file(follow_symlinks=False)]
    except OSError:
        return set()
    return {name for name in regular if name.endswith((SHEET, SCRIPT))}


def _content_of(folder: Path) -> bytes:
    """The catalogue of a month as it is on disk; empty: there is none that can be read."""
    if PACKS not in _folders(folder):  # a link would lead elsewhere
        return b""
    try:
        return read_regular(folder / PACKS / _CATALOGUE)
    except (OSError, ValueError):
        return b""


def _catalogue_of(folder: Path) -> Catalogue:
    """The catalogue of a month, without packs that are gone; empty if it cannot be read."""
    content = _content_of(folder).decode("ascii", "replace")
    head, _, rest = content.partition("(")
    try:
        listed = as_type(Catalogue, parsed_json(rest.removesuffix(");\n"))) if head else {}
    except ValueError:  # damaged: the report makes what it listed again
        return {}
    there = set(os.listdir(folder / PACKS)) if listed else set()  # noqa: PTH208 - only the names
    packs = {pack for pack in there if _PACK.fullmatch(pack)}
    return {pack: names for pack, names in listed.items() if pack in packs and names}


def _pack_month(run_dir: Path, folder: Path) -> int:
    """Pack the files of a month, if there are any; returns how many."""
    files = _files_in(folder)
    if not files:
        return 0
    before = _catalogue_of(folder)
    held = {name: pack for pack, names in before.items() for name in names}
    # The first script of an item is removed first. Without it, others are left of an item that was
    # packed, or of one that is not finished.
    left = {name for name in files if _first_of(name) not in files and _first_of(name) in held}
    renewed = {_item_of(name) for name in files - left}
    kept = {name: pack for name, pack in held.items() if _item_of(name) not in renewed}
    make_below(run_dir, folder / PACKS)
    sweep(folder / PACKS)
    after: Catalogue = {}
    for suffix in _BYTES:
        of_kind = (name for name in {*files - left, *kept} if name.endswith(suffix))
        names = sorted(of_kind, key=_order)
        first = _unchanged(names, kept, {p: f for p, f in before.items() if f[0].endswith(suffix)})
        rest = names[sum(map(len, first.values())) :]
        lines = _lines(folder, rest, kept)
        after |= first | _write_packs(folder, suffix, lines, before, len(first))
    new = [folder / PACKS / pack for pack in after if pack not in before]
    if new:
        commit(*new)
    write_atomic(folder / PACKS / _CATALOGUE, call("catalogue", after))
    for path in (folder / PACKS).iterdir():
        if path.name not in after and path.name != _CATALOGUE:
            path.unlink(missing_ok=True)
    packed = {name for names in after.values() for name in names if name in files}
    for name in sorted(packed | left, key=lambda name: (name != _first_of(name), name)):
        (folder / name).unlink(missing_ok=True)
    return len(packed)


def _unchanged(names: Sequence[str], kept: Mapping[str, str], before: Catalogue) -> Catalogue:
    """The packs with the first `names` that stay as they are, and need not be read.

    The last one before a change is not among them: what follows may fit into it now.
    """
    same: Catalogue = {}
    at = 0
    for pack, files in before.items():
        is_next = int(pack.partition("-")[2].partition(".")[0]) == len(same)
        if not is_next or names[at : at + len(files)] != files or not kept.keys() >= set(files):
            break
        same[pack] = files
        at += len(files)
    if same:
        same.popitem()
    return same


def _write_packs(
    folder: Path, suffix: str, lines: Iterable[tuple[str, bytes]], before: Catalogue, first: int
) -> Catalogue:
    """Write the packs of one kind, numbered from `first`, except those there are.

    They are not synced, and have temporary names.
    """
    after: Catalogue = {}
    for number, pack in enumerate(_grouped(lines, _BYTES[suffix]), first):
        content = b"".join(pack.values())
        name = f"{_STEMS[suffix]}-{number:03d}.{_digest(content)}.js"
        if name not in before:
            write_part(folder / PACKS / name, content)
        after[name] = list(pack)
    return after


def _grouped(lines: Iterable[tuple[str, bytes]], most: int) -> Iterator[dict[str, bytes]]:
    """Lines in groups of at most `most` bytes, or of one line."""
    group: dict[str, bytes] = {}
    size = 0
    for name, line in lines:
        if group and size + len(line) > most:
            yield group
            group, size = {}, 0
        group[name] = line
        size += len(line)
    if group:
        yield group


def _lines(
    folder: Path, names: Iterable[str], kept: Mapping[str, str]
) -> Iterator[tuple[str, bytes]]:
    """The line of each file, from the file or, if it is in `kept`, from its present pack."""
    pack, lines = "", dict[str, bytes]()
    for name in names:
        if name not in kept:
            content = read_regular(folder / name)
            if name.endswith(SHEET) or _CALL.fullmatch(content):  # else it is none of a run
                yield name, _packed(name, content)
            continue
        if kept[name] != pack:  # in order, so each is read once
            pack = kept[name]
            try:
                lines = _lines_of(folder, pack)
            except (OSError, ValueError):  # lost: the report makes its previews again
                lines = {}
        if name in lines:
            yield name, lines[name]


def _lines_of(folder: Path, pack: str) -> dict[str, bytes]:
    """File → its line in a pack. Raises `OSError`, or `ValueError` if the pack is damaged."""
    content = read_regular(folder / PACKS / pack)
    if _digest(content) != pack.split(".")[1]:
        raise ValueError("its digest is wrong")
    lines = {}
    for line in content.splitlines(keepends=True):
        if found := _LINE.fullmatch(line.rstrip(b"\n")):
            lines[str(json.loads(found[1]))] = line
    return lines


def _packed(name: str, content: bytes) -> bytes:
    """The line of a file in a pack: what the file would hand to the page, when it is asked for."""
    key = json.dumps(name)
    for letter in "<>&":
        key = key.replace(letter, f"\\u{ord(letter):04x}")
    if name.endswith(SHEET):
        content = b'"' + base64.b64encode(content) + b'"'
    else:
        content = content.removesuffix(b";\n")
    return b"spectroMpi.packed(" + key.encode("ascii") + b",()=>" + content + b");\n"


def _unpacked(name: str, line: bytes) -> bytes:
    """The content of a file, from its line in a pack."""
    found = _LINE.fullmatch(line.rstrip(b"\n"))
    assert found is not None
    if name.endswith(SHEET):
        return base64.b64decode(found[2][1:-1], validate=True)
    return found[2] + b";\n"


def _item_of(name: str) -> str:
    """The item of a file: what stands before the number of a further script."""
    return Path(name).stem.partition("~")[0]


def _first_of(name: str) -> str:
    """The first script of the item of a file."""
    return _item_of(name) + SCRIPT


def _order(name: str) -> tuple[tuple[int, str], int, str]:
    item = _item_of(name)
    number = Path(name).stem.rpartition("~")[2]
    return item_order(item), int(number) if "~" in name and number.isdecimal() else 0, name


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:10]
