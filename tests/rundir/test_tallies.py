"""tallies.h5 gives back what was kept, or nothing; never what differs from the store."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from spectro_mpi.rundir.tallies import (
    Kept,
    KeptGroup,
    KeptPhase,
    drop_stale,
    read_tallies,
    write_tallies,
)
from spectro_mpi.settings.versions import NewerVersionError
from spectro_mpi.system.untrusted import UntrustedCalls
from tests.mpi.script import Here

STORES = {"reduce": {"1": "shard-00000.h5", "2": "shard-00000.h5", "ä": "shard-00001.h5"}}


def group(*items: str, seed: int = 0) -> KeptGroup:
    rng = np.random.default_rng(seed)
    arrays = {
        "instrument": np.array(["ees", "µ", ""]),
        "none": np.array([], np.str_),
        "cells": rng.integers(0, 9, (40, 2, 2)),
        "smallest": np.array([-np.inf, 0.1]),
        "upper": np.zeros(0, np.float32),
    }
    return KeptGroup({item: STORES["reduce"][item] for item in items}, arrays)


def kept(*groups: KeptGroup) -> dict[str, KeptPhase]:
    return {"reduce": KeptPhase(3, groups)}


def plain(content: Kept) -> object:
    """In a form that can be compared."""
    return {
        name: (
            phase.version,
            [
                (
                    dict(group.data_files),
                    {n: (a.shape, a.tolist()) for n, a in group.arrays.items()},
                )
                for group in phase.groups
            ],
        )
        for name, phase in content.items()
    }


def test_groups_come_back_as_they_were_and_equal_content_is_equal_bytes(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    content = kept(group("2", "1"), group("ä", seed=1)) | {"own": KeptPhase(1, (group("1"),))}
    write_tallies(tmp_path, content)
    assert plain(read_tallies(tmp_path)) == plain(content)
    same = {"own": KeptPhase(1, (group("1"),))} | kept(group("1", "2"), group("ä", seed=1))
    write_tallies(tmp_path / "again", same)
    first, again = (folder / "tallies.h5" for folder in (tmp_path, tmp_path / "again"))
    assert first.read_bytes() == again.read_bytes()


def test_without_the_file_nothing_is_kept(tmp_path: Path) -> None:
    assert read_tallies(tmp_path) == {}
    assert drop_stale(tmp_path, STORES, Here()) == ({}, [])


@pytest.mark.parametrize(
    "stores",
    [
        {"reduce": {"1": "shard-00000.h5", "ä": "shard-00001.h5"}},
        {"reduce": {"1": "shard-00000.h5", "2": "shard-00002.h5", "ä": "shard-00001.h5"}},
    ],
    ids=["lost", "made again"],
)
def test_groups_that_differ_from_the_store_are_removed_from_the_file(
    tmp_path: Path, stores: dict[str, dict[str, str]]
) -> None:
    write_tallies(tmp_path, kept(group("1", "2"), group("ä", seed=1)))
    good, sentences = drop_stale(tmp_path, stores, Here())
    assert plain(good) == plain(kept(group("ä", seed=1)))
    assert plain(read_tallies(tmp_path)) == plain(good)
    assert sentences == []


def test_a_file_that_agrees_with_the_store_is_left_as_it_is(tmp_path: Path) -> None:
    write_tallies(tmp_path, kept(group("1", "2")))
    before = (tmp_path / "tallies.h5").stat().st_mtime_ns
    good, _ = drop_stale(tmp_path, STORES, Here())
    assert plain(good) == plain(kept(group("1", "2")))
    assert (tmp_path / "tallies.h5").stat().st_mtime_ns == before


def test_any_flipped_byte_leaves_the_content_or_is_noticed(tmp_path: Path) -> None:
    content = kept(group("1", "2"))
    write_tallies(tmp_path, content)
    path = tmp_path / "tallies.h5"
    sound = path.read_bytes()
    rng = np.random.default_rng(3)
    noticed = 0
    with UntrustedCalls() as untrusted:
        for place in rng.choice(len(sound), 150, replace=False).tolist():
            path.write_bytes(sound[:place] + bytes([sound[place] ^ 0xFF]) + sound[place + 1 :])
            try:
                read = untrusted(read_tallies, tmp_path)
            except (OSError, NewerVersionError):
                noticed += 1
            else:
                assert plain(read) == plain(content)
    assert noticed > 10


@pytest.mark.parametrize("damage", ["cut", "text", "no groups", "empty"])
def test_a_damaged_file_is_set_aside_with_a_sentence(tmp_path: Path, damage: str) -> None:
    write_tallies(tmp_path, kept(group("1", "2")))
    path = tmp_path / "tallies.h5"
    sound = path.read_bytes()
    if damage == "no groups":
        with h5py.File(path, "a") as file:
            del file["reduce"]
            file["reduce"] = np.arange(3)
    else:
        path.write_bytes({"cut": sound[: len(sound) // 2], "text": b"{}", "empty": b""}[damage])
    with UntrustedCalls() as untrusted:
        good, (sentence,) = drop_stale(tmp_path, STORES, untrusted)
    assert good == {}
    assert str(path) in sentence and "tallies.h5.damaged" in sentence
    assert (tmp_path / "tallies.h5.damaged").exists() and not path.exists()


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    write_tallies(tmp_path, kept(group("1", "2")))
    with h5py.File(tmp_path / "tallies.h5", "a") as file:
        file.attrs["schema_version"] = 99
    shutil.copy(tmp_path / "tallies.h5", tmp_path / "before")
    with UntrustedCalls() as untrusted, pytest.raises(NewerVersionError, match=r"tallies\.h5"):
        drop_stale(tmp_path, {}, untrusted)
    assert (tmp_path / "tallies.h5").read_bytes() == (tmp_path / "before").read_bytes()
