"""Sweeping of files that were left half-written."""

from __future__ import annotations

from pathlib import Path

from spectro_mpi.system.atomic import SUFFIX, sweep_all


def test_sweeping_folders_goes_by_no_link(tmp_path: Path) -> None:
    kept = tmp_path / "elsewhere" / f"of-others{SUFFIX}"
    deep = tmp_path / "assets" / "previews" / "2000" / "01"
    for folder in (kept.parent, deep):
        folder.mkdir(parents=True)
    (tmp_path / "assets" / "link").symlink_to(kept.parent)
    left, whole = deep / f"13312.js{SUFFIX}", deep / "13312.js"
    for path in (kept, left, whole):
        path.touch()
    sweep_all(tmp_path / "assets")
    assert [kept.exists(), left.exists(), whole.exists()] == [True, False, True]
