"""What looks at the files of all items looks only at folders that exist."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from spectro_mpi.model.items import Item
from spectro_mpi.rundir import layout
from spectro_mpi.rundir.layout import item_folder, sweep_files_of, without_folder

ITEMS = [Item(str(orbit), datetime(2000, 1, 1, tzinfo=timezone.utc), ()) for orbit in range(500)]


def test_half_written_files_are_removed_without_a_look_at_items_that_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = ITEMS[7]
    folder = item_folder(tmp_path, "plot", begun)
    folder.mkdir(parents=True)
    for name in ("whole.png", "half.png.part"):
        (folder / name).touch()
    looked: list[str] = []
    sweep_files = layout.sweep_files

    def look(run_dir: Path, phase: str, item: Item) -> list[Path]:
        looked.append(item.id)
        return sweep_files(run_dir, phase, item)

    monkeypatch.setattr(layout, "sweep_files", look)
    sweep_files_of(tmp_path, "plot", ITEMS)
    sweep_files_of(tmp_path, "reduce", ITEMS)
    assert looked == [begun.id]
    assert [path.name for path in folder.iterdir()] == ["whole.png"]
    assert len(list(without_folder(tmp_path, "plot", ITEMS))) == 499
