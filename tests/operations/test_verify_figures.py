"""Figures are checked to the byte, whatever their size, by one process or several ranks."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spectro_mpi.demo import DemoSummary
from spectro_mpi.draw.names import KEYWORD
from spectro_mpi.draw.png import encode_png
from spectro_mpi.operations.figure_files import problem_of_figure
from tests.conftest import BIN, NO_REPORT, Finished, spectro_mpi, spectro_mpi_here

ITEM = "13312"
OPTIONS = pytest.mark.parametrize("options", [(), ("--quick",)], ids=["whole", "quick"])


@pytest.fixture(scope="module")
def settings_file(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings of a finished run of two orbits."""
    settings = tmp_path_factory.mktemp("verify") / "spectro-mpi.toml"
    settings.write_text(
        f'input = "{demo.directory / "FAST_data"}"\n[select]\norbits = "13312-13313"\n'
        f"[plot]\ndpi = 50\n{NO_REPORT}"
    )
    assert spectro_mpi("run", settings, "--no-progress").code == 0
    return settings


@pytest.fixture
def run_dir(settings_file: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be damaged."""
    return Path(shutil.copytree(settings_file.parent / "runs" / "fast", tmp_path / "fast"))


def figures(run_dir: Path, item: str = ITEM) -> list[Path]:
    return sorted((run_dir / "plots" / "2000" / "01" / item).glob("*.png"))


def png(pixels: np.ndarray, item: str = ITEM) -> bytes:
    """A PNG file that describes itself as a figure of an item."""
    palette = np.zeros((256, 3), np.uint8)
    return encode_png(pixels, palette, 100, KEYWORD, json.dumps({"item": item, "panels": []}))


def chunks(content: bytes) -> list[tuple[bytes, int, int]]:
    """Kind, position and length (with its frame) of each chunk."""
    found, at = [], 8
    while at < len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        found.append((kind, at, length + 12))
        at += length + 12
    return found


def with_pixels(content: bytes, inflated: bytes) -> bytes:
    """The file with other pixels, all checksums right."""
    (at, length) = next((at, length) for kind, at, length in chunks(content) if kind == b"IDAT")
    data = zlib.compress(inflated)
    body = b"IDAT" + data
    chunk = struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
    return content[:at] + chunk + content[at + length :]


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


PIXELS = np.random.default_rng(1).integers(0, 99, (40, 60), np.uint8)


def test_a_changed_byte_anywhere_in_a_figure_is_found(tmp_path: Path) -> None:
    file, whole = tmp_path / "x.png", png(PIXELS)
    file.write_bytes(whole)
    assert problem_of_figure(file, ITEM) == ""
    for at in range(len(whole)):
        file.write_bytes(flipped(whole, at))
        assert problem_of_figure(file, ITEM), f"byte {at} of {chunks(whole)}"


def test_quick_finds_a_changed_byte_anywhere_but_among_the_pixels(tmp_path: Path) -> None:
    file, whole = tmp_path / "x.png", png(PIXELS)
    (pixels, length) = next((at, length) for kind, at, length in chunks(whole) if kind == b"IDAT")
    unseen = range(pixels + 8, pixels + length)
    file.write_bytes(whole)
    assert problem_of_figure(file, ITEM, quick=True) == ""
    for at in range(len(whole)):
        file.write_bytes(flipped(whole, at))
        assert bool(problem_of_figure(file, ITEM, quick=True)) == (at not in unseen), at


@pytest.mark.parametrize("quick", [False, True])
def test_a_figure_that_is_cut_off_or_goes_on_after_its_end_is_found(
    tmp_path: Path, quick: bool
) -> None:
    file, whole = tmp_path / "x.png", png(PIXELS)
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        assert "is damaged" in problem_of_figure(file, ITEM, quick=quick), size
    for more in (b"\0", whole, whole[8:]):
        file.write_bytes(whole + more)
        assert "goes on after its end" in problem_of_figure(file, ITEM, quick=quick)


def test_pixels_that_are_not_as_many_as_the_header_says_are_found(tmp_path: Path) -> None:
    file, whole = tmp_path / "x.png", png(PIXELS)
    rows = b"".join(b"\0" + row.tobytes() for row in PIXELS)
    file.write_bytes(with_pixels(whole, rows))
    assert problem_of_figure(file, ITEM) == ""
    for inflated, what in (
        (rows[:-1], "fewer pixels"),
        (rows + b"\0", "more pixels"),
        (b"", "fewer pixels"),
        (b"\5" + rows[1:], "rows are none"),
        (rows[:-61] + b"\7" + rows[-60:], "rows are none"),
    ):
        file.write_bytes(with_pixels(whole, inflated))
        assert what in problem_of_figure(file, ITEM)


def test_a_figure_of_more_pixels_than_pillow_opens_is_whole(tmp_path: Path) -> None:
    from PIL import Image

    file = tmp_path / "x.png"
    pixels = np.zeros((13_500, 13_500), np.uint8)
    pixels[::100] = 7
    assert pixels.size > 2 * (Image.MAX_IMAGE_PIXELS or 0)
    file.write_bytes(png(pixels))
    assert problem_of_figure(file, ITEM) == ""
    file.write_bytes(flipped(file.read_bytes(), file.stat().st_size // 2))
    assert "checksum of its chunk IDAT" in problem_of_figure(file, ITEM)


def _remove(run_dir: Path) -> Path:
    path = figures(run_dir)[0]
    path.unlink()
    return path


def _empty(run_dir: Path) -> Path:
    path = figures(run_dir)[0]
    path.write_bytes(b"")
    return path


def _zeros(run_dir: Path) -> Path:
    path = figures(run_dir)[0]
    path.write_bytes(bytes(path.stat().st_size))
    return path


def _other_item(run_dir: Path) -> Path:
    path = figures(run_dir)[0]
    shutil.copy(figures(run_dir, "13313")[0], path)
    return path


def _other_limits(run_dir: Path) -> Path:
    given = next(path for path in figures(run_dir) if "given_extrema" in path.name)
    raw = given.with_name(given.name.replace("given_extrema", "raw"))
    shutil.copy(raw, given)
    return given


def _other_instrument(run_dir: Path) -> Path:
    path = next(path for path in figures(run_dir, "13313") if "_ESA_ees_" in path.name)
    other = next(path for path in figures(run_dir, "13313") if "_ESA_eeb_" in path.name)
    shutil.copy(other, path)
    return path


def _other_kind(run_dir: Path) -> Path:
    path = next(path for path in figures(run_dir) if "_ESA_ees_" in path.name)
    stem, _, looks = path.name.partition("_y-")
    shutil.copy(path.with_name(f"{ITEM}_instrument-grid_ESA_y-{looks}"), path)
    assert "pitch-angle" in stem
    return path


def _jpeg(run_dir: Path) -> Path:
    from PIL import Image

    path = figures(run_dir)[0]
    Image.new("RGB", (9, 9)).save(path, "JPEG")
    return path


def _pipe(run_dir: Path) -> Path:
    path = figures(run_dir)[0]
    path.unlink()
    os.mkfifo(path)
    return path


DAMAGES: dict[Callable[[Path], Path], str] = {
    _remove: "is missing",
    _empty: "is damaged (it is empty)",
    _zeros: "is damaged (it does not begin as a PNG file)",
    _other_item: "is of item 13313",
    _other_limits: "is another figure: its limits is raw, not given_extrema",
    _other_instrument: "is another figure: its instrument is eeb, not ees",
    _other_kind: "is another figure: its kind is instrument-grid, not pitch-angle",
    _jpeg: "is damaged (it does not begin as a PNG file)",
    _pipe: "cannot be read (ValueError: is not a file)",
}


@OPTIONS
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_what_is_wrong_with_a_figure_is_told_in_one_line(
    run_dir: Path, damage: Callable[[Path], Path], options: tuple[str, ...]
) -> None:
    path = damage(run_dir)
    done = spectro_mpi_here("verify", *options, run_dir)
    assert (done.code, done.err) == (1, "")
    problem, summary = done.out.splitlines()
    assert problem == f"{path}: {DAMAGES[damage]}"
    assert summary.startswith("1 problem; ")


@OPTIONS
def test_data_with_a_changed_byte_is_found(run_dir: Path, options: tuple[str, ...]) -> None:
    path = run_dir / "data" / "2000" / "01" / f"{ITEM}.h5"
    path.write_bytes(flipped(path.read_bytes(), path.stat().st_size - 9))
    done = spectro_mpi_here("verify", *options, run_dir)
    assert f"{path}: is damaged, or has been changed" in done.out


def strayed(run_dir: Path) -> list[Path]:
    """Damage of every kind, in items that different ranks check."""
    data = run_dir / "data" / "2000" / "01" / "13313.h5"
    data.write_bytes(data.read_bytes()[:-9])
    left = run_dir / "plots" / "x.png.part"
    left.touch()
    first, second, *_ = figures(run_dir)
    first.unlink()
    second.write_bytes(flipped(second.read_bytes(), second.stat().st_size // 2))
    return [left, data, first, second]


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_share_the_work_and_the_first_one_reports_as_one_process(
    run_dir: Path, ranks: int
) -> None:
    whole = spectro_mpi("verify", run_dir, ranks=ranks)
    assert whole == spectro_mpi_here("verify", run_dir)
    assert whole.code == 0
    bad = strayed(run_dir)
    for options in ((), ("--quick",)):
        shared = spectro_mpi("verify", *options, run_dir, ranks=ranks)
        assert shared == spectro_mpi_here("verify", *options, run_dir)
        assert shared.code == 1
        assert [path for path in bad if f"{path}: " not in shared.out] == bad[3:] * bool(options)
    assert spectro_mpi("verify", "--repair", run_dir, ranks=ranks).code == 1
    assert not bad[0].exists()


@pytest.mark.slow
def test_on_ranks_a_mistake_is_told_once_and_ends_all_of_them(tmp_path: Path) -> None:
    done = spectro_mpi("verify", tmp_path, ranks=3)
    assert done.code == 2
    assert done.err.count("is not a run directory") == 1
    assert "Traceback" not in done.err


def test_without_a_launcher_verify_imports_no_mpi(run_dir: Path) -> None:
    words = f"import sys; from spectro_mpi import cli; cli.main(['verify', {str(run_dir)!r}]); "
    shown = [str(BIN / "python"), "-c", words + "print('mpi4py' in sys.modules)"]
    done = subprocess.run(shown, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False", Finished(done.returncode, "", done.stderr)
