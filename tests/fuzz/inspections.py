"""Spoilt CDF files through `inspect`: each ends within its limits, with settings or a sentence.

By command: python -m tests.fuzz.inspections [--files 1000] [--seed 0]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spectro_mpi.demo import write_demo
from tests.conftest import Finished, spectro_mpi_here
from tests.fuzz.mutate import mutate
from tests.istp_files import variables, write

LIMIT_SECONDS = 10.0
LIMIT_MB = 1024


@dataclass
class Inspected:
    """What became of the files."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """What `inspect` said of them → files."""
    slowest: float = 0.0
    """Longest time that the file took of a core, in all processes, s."""
    slowest_file: str = ""
    longest: float = 0.0
    """Longest time by the clock, s; other work on the machine adds to it."""
    most_mb: float = 0.0
    """Most memory that any of the processes had, MB."""

    def __str__(self) -> str:
        counts = ", ".join(f"{what} {count}" for what, count in self.outcomes.most_common())
        return (
            f"{sum(self.outcomes.values())} files: {counts}; slowest {self.slowest:.1f} s "
            f"of a core ({self.slowest_file}), longest {self.longest:.1f} s by the clock, most "
            f"memory {self.most_mb:.0f} MB"
        )


def originals_in(folder: Path) -> list[Path]:
    """Sound files of several kinds: FAST, ISTP, and one that is compressed as a whole."""
    import cdflib.cdfwrite

    demo = write_demo(folder / "demo", orbits=1, seed=1)
    files = sorted(demo.directory.rglob("fa_esa_l2_*.cdf"))
    files.append(write(folder / "tst_20170101_v1.cdf", variables()))
    whole = cdflib.cdfwrite.CDF(folder / "whole.cdf", {"Compressed": 6}, delete=True)
    whole.write_globalattrs({"Source_name": {0: "TST>Test"}})
    whole.close()
    return [*files, folder / "whole.cdf"]


def bomb(megabytes: int) -> bytes:
    """A CDF compressed as a whole that inflates to so many MB; a thousandth of that itself."""
    deflate = zlib.compressobj(9, wbits=31)
    block = bytes(1 << 20)
    first = deflate.compress(block) + deflate.flush(zlib.Z_FULL_FLUSH)
    again = deflate.compress(block) + deflate.flush(zlib.Z_FULL_FLUSH)
    data = first + (megabytes - 1) * again + deflate.flush()
    record = len(data) + 32
    head = record.to_bytes(8, "big") + (10).to_bytes(4, "big") + (8 + record).to_bytes(8, "big")
    sizes = (megabytes << 20).to_bytes(8, "big") + bytes(4)
    method = b"".join(number.to_bytes(4, "big") for number in (11, 5, 0, 1, 6))
    return (
        bytes.fromhex("CDF30001CCCC0001") + head + sizes + data + (28).to_bytes(8, "big") + method
    )


def is_a_sentence(done: Finished) -> bool:
    """Whether a command ended as it should: with its output, or a sentence."""
    sentences = done.err.splitlines()
    return "Traceback" not in done.err + done.out and (
        (done.code == 0 and not sentences and "\npreset = " in done.out)
        or (done.code in (1, 2) and len(sentences) == 1 and sentences[0].startswith("spectro-mpi:"))
    )


def inspect_spoilt(
    originals: Sequence[Path], folder: Path, files: int, seed: int, tell: bool = False
) -> Inspected:
    """Spoil and inspect `files` files; raises if one does not end as it should."""
    found = Inspected()
    contents = [(path.name, path.read_bytes()) for path in originals]
    for number in range(files):
        name, content = contents[number % len(contents)]
        path = folder / name
        path.write_bytes(mutate(content, seed * 1_000_003 + number))
        began, at = _core_seconds(), time.monotonic()
        done = spectro_mpi_here("inspect", path)
        took = _core_seconds() - began
        found.longest = max(found.longest, time.monotonic() - at)
        label = f"{seed}/{number}"
        assert is_a_sentence(done), (label, done)
        assert took < LIMIT_SECONDS, (label, took)
        found.outcomes[_kind(done)] += 1
        if took > found.slowest:
            found.slowest, found.slowest_file = took, label
        path.unlink()
        if tell and (number + 1) % 100 == 0:
            found.most_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(found, flush=True)
    found.most_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return found


def _core_seconds() -> float:
    """What this process and those that it ended have taken of a core: not what others take."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def _kind(done: Finished) -> str:
    if done.code == 0:
        return "drawn"
    for word in ("nothing in it", "truncated", "empty", "more than", "damaged"):
        if word in done.err:
            return word
    return "unreadable"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        originals = originals_in(folder)
        spoilt = folder / "spoilt"
        spoilt.mkdir()
        found = inspect_spoilt(originals, spoilt, arguments.files, arguments.seed, tell=True)
        print(found)
        print(f"limits: {LIMIT_SECONDS:.0f} s, {LIMIT_MB} MB")


if __name__ == "__main__":
    main()
