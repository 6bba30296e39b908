"""Figures of an item are on disk before they have their names, however they get there."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from spectro_mpi.system import folder_commit
from spectro_mpi.system.atomic import write_part
from spectro_mpi.system.folder_commit import FolderCommit

NAMES = [f"{number}.png" for number in range(5)]


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process that has not committed anything."""
    monkeypatch.setattr(FolderCommit, "slow", False)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system whose files can be synced together, wherever the tests run."""
    if not folder_commit._can_sync_together():
        pytest.skip("this system has no syncfs that reports errors")
    monkeypatch.setattr(folder_commit, "_type_of", lambda _: 0xEF53)


class Calls(list[str]):
    """What the system was asked for, in order."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> None:
        super().__init__()
        fsync, replace, libc = os.fsync, Path.replace, ctypes.CDLL(None)

        def synced(descriptor: int) -> None:
            self.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
            fsync(descriptor)

        def renamed(path: Path, to: Path) -> Path:
            self.append(f"rename {to.name}")
            return replace(path, to)

        class Libc:
            def syncfs(_, descriptor: int) -> int:
                parts = sorted(path.name for path in folder.glob("*.part"))
                self.append(f"syncfs {len(parts)}")
                return code or int(libc.syncfs(descriptor))

        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(Path, "replace", renamed)
        monkeypatch.setattr(folder_commit, "_libc", Libc)


def committed(folder: Path, names: list[str]) -> None:
    commit = FolderCommit(folder)
    for name in names:
        write_part(folder / name, name.encode())
    commit.commit([folder / name for name in names])
    commit.close()
    assert {path.name: path.read_text() for path in folder.iterdir()} == {n: n for n in names}


@pytest.mark.usefixtures("known")
def test_many_files_take_one_sync_before_and_one_after_they_get_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(tmp_path, monkeypatch)
    committed(tmp_path, NAMES)
    renames = [f"rename {name}" for name in NAMES]
    assert calls == ["syncfs 5", *renames, f"fsync {tmp_path.name}"]


def _fails(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Calls:
    return Calls(folder, monkeypatch, code=-1)


def _is_unknown(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Calls:
    monkeypatch.setattr(folder_commit, "_type_of", lambda _: 0x0BD00BD0)  # Lustre
    return Calls(folder, monkeypatch)


def _is_slow(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Calls:
    monkeypatch.setattr(folder_commit, "_SLOW_SECONDS", -1.0)
    elsewhere = folder.with_name("elsewhere")
    elsewhere.mkdir()
    committed(elsewhere, NAMES)
    assert FolderCommit.slow
    return Calls(folder, monkeypatch)


def _is_old(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Calls:
    monkeypatch.setattr(folder_commit, "_can_sync_together", lambda: False)
    return Calls(folder, monkeypatch)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("trouble", [_fails, _is_unknown, _is_slow, _is_old])
def test_each_file_is_synced_where_one_call_does_not_do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Callable[[pytest.MonkeyPatch, Path], Calls],
) -> None:
    folder = tmp_path / "item"
    folder.mkdir()
    calls = trouble(monkeypatch, folder)
    committed(folder, NAMES)
    synced = [call for call in calls if not call.startswith("syncfs")]
    assert sorted(synced[:5]) == [f"fsync {name}.part" for name in NAMES]
    assert synced[5:] == [*(f"rename {name}" for name in NAMES), "fsync item"]


def test_a_file_that_cannot_be_written_gets_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(folder_commit, "_can_sync_together", lambda: False)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        committed(tmp_path, NAMES)
    assert not list(tmp_path.glob("*.png"))


def test_the_type_of_a_file_system_is_that_of_statfs(tmp_path: Path) -> None:
    with (tmp_path / "x").open("w") as file:
        found = folder_commit._type_of(file.fileno())
    shown = os.popen(f"stat -f -c %t {tmp_path}").read().strip()
    assert f"{found:x}" == shown
