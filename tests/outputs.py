"""What a run has made, to be compared."""

from __future__ import annotations

import io
from pathlib import Path

import h5py
from PIL import Image


def pictures(run_dir: Path) -> dict[str, bytes]:
    """Path below plots/ → content, of every file there."""
    plots = run_dir / "plots"
    return {str(p.relative_to(plots)): p.read_bytes() for p in plots.rglob("*") if p.is_file()}


def stored(run_dir: Path) -> dict[str, bytes]:
    """item/instrument/…/dataset → bytes, of everything the links lead to."""
    content: dict[str, bytes] = {}

    def take(name: str, found: h5py.Group | h5py.Dataset) -> None:
        if isinstance(found, h5py.Dataset):
            value = found[()]
            plain = value.tobytes() if value.dtype.kind != "O" else repr(value).encode()
            content[f"{item}/{name}"] = plain

    with h5py.File(run_dir / "spectrograms.h5") as file:
        for item in file:
            file[item].visititems(take)
    return content


def same_output(one: Path, other: Path) -> None:
    """Figures, extrema and store values are identical, byte for byte."""
    before, after = pictures(one), pictures(other)
    assert before.keys() == after.keys() != set()
    shown = {n: difference(before[n], after[n]) for n in before if before[n] != after[n]}
    assert shown == {}
    assert (one / "extrema.json").read_bytes() == (other / "extrema.json").read_bytes()
    assert stored(one) == stored(other) != {}


def difference(before: bytes, after: bytes) -> str:
    """What differs between two PNG files."""
    first, second = (Image.open(io.BytesIO(content)) for content in (before, after))
    differs = {
        "pixels": (first.mode, first.size, first.getpalette(), first.tobytes())
        != (second.mode, second.size, second.getpalette(), second.tobytes()),
        "text": first.info != second.info,
    }
    return ", ".join(name for name, other in differs.items() if other) or "the compressed stream"


def snapshot(run_dir: Path) -> dict[str, tuple[int, int]]:
    """What every file looks like from outside."""
    return {
        str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in run_dir.rglob("*") if p.is_file()
    }
