"""Run directories as earlier versions left them: shards of many items, and schema version 2."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py

from spectro_mpi.model.artifacts import Group
from spectro_mpi.model.items import item_order
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.rundir.groups import write_datasets
from spectro_mpi.rundir.item_file import attach_scales, write_spectrogram
from spectro_mpi.rundir.journal import load_progress
from spectro_mpi.rundir.layout import data_path
from spectro_mpi.rundir.store import read_item

_ITEMS = 2
"""Of a shard."""


def write_shard(
    path: Path, items: Mapping[str, Sequence[Spectrogram | Group]], phase: str = "reduce"
) -> None:
    """Write a shard of these items."""
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["schema_version"] = 2
        file.attrs["phase"] = phase
        for item, groups in items.items():
            for content in groups:
                group = file.create_group(f"{item}/{content.name}")
                if isinstance(content, Spectrogram):
                    write_spectrogram(group, content)
                else:
                    attach_scales(group, write_datasets(group, content))


def make_earlier(run_dir: Path) -> None:
    """Let a finished run of phases reduce and plot be one of the earlier layout."""
    state = load_progress(run_dir, "")
    items = sorted(state.data_files, key=item_order)
    shards: dict[str, str] = {}
    digests: list[dict[str, object]] = []
    known = _digests(run_dir)
    for number, first in enumerate(range(0, len(items), _ITEMS)):
        some = items[first : first + _ITEMS]
        shard = f"shard-{number:05d}.h5"
        data = {
            item: list(read_item(data_path(run_dir, state.data_files[item]), item)) for item in some
        }
        write_shard(run_dir / "data" / shard, data)
        shards |= dict.fromkeys(some, shard)
        digests.append({"shard": shard, "data": {item: known[item] for item in some}})
    for name in state.data_files.values():
        data_path(run_dir, name).unlink()
    for folder in sorted((run_dir / "data").rglob("*"), reverse=True):
        if folder.is_dir():
            folder.rmdir()
    with h5py.File(run_dir / "spectrograms.h5", "w") as links:
        links.attrs["schema_version"] = 2
        for item in sorted(items):
            links[item] = h5py.ExternalLink(f"data/{shards[item]}", f"/{item}")
    (run_dir / "sources.lines").unlink()
    (run_dir / "tallies.h5").unlink()
    lines = (run_dir / "figures.digests").read_text().splitlines()
    kept = [entry for entry in map(json.loads, lines) if "data" not in entry]
    (run_dir / "figures.digests").write_text(
        "".join(json.dumps({**entry, "schema_version": 2}) + "\n" for entry in [*kept, *digests])
    )
    progress = json.loads((run_dir / "progress.json").read_text())
    del progress["data_files"]
    progress |= {"schema_version": 2, "shards": shards, "other_shards": {"plot": {}}}
    (run_dir / "progress.json").write_text(json.dumps(progress))


def _digests(run_dir: Path) -> dict[str, object]:
    """Item → the digests of its data."""
    lines = (run_dir / "figures.digests").read_text().splitlines()
    return {item: each for line in lines for item, each in json.loads(line).get("data", {}).items()}
