"""Draws one figure, and deflates one image, many times over; every time it must be the same bytes.

By hand: python -m tests.draw.same_bytes [--figures 10000] [--streams 50000]
(a stream keeps 0.1 MB, so that the next one lies elsewhere in memory)
"""

from __future__ import annotations

import argparse
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from spectro_mpi.draw.figure import Painter
from spectro_mpi.system.deflate import deflated
from tests.draw.test_pixels import content, spectrogram, style


def filtered_rows() -> NDArray[np.uint8]:
    """Rows of a PNG image as they are deflated, of which the second repeats the first."""
    rows = np.zeros((60, 601), np.uint8)
    rows[:, 0] = 2
    rows[20:40, 100:300] = np.random.default_rng(1).integers(0, 5, (20, 200))
    return rows


def streams_at_many_addresses(
    deflate: Callable[[Iterable[Any]], bytes], count: int
) -> Counter[bytes]:
    """Deflate the same rows `count` times, each time with the stream elsewhere in memory."""
    rows, kept, streams = filtered_rows(), [], Counter[bytes]()
    for _ in range(count):
        kept.append(isal_zlib.compressobj(2))  # it takes the place of the stream before
        streams[deflate([rows])] += 1
    return streams


def figures_in_many_orders(count: int, seed: int = 0) -> Counter[bytes]:
    """Draw the same figure `count` times, with others between."""
    rng, painter, figures = np.random.default_rng(seed), Painter(), Counter[bytes]()
    waves = np.sin(np.arange(200) / 25)[:, None] * np.cos(np.arange(48) / 9)
    contents = [content(*[spectrogram(10 ** (waves + k))] * (1 + k % 3)) for k in range(6)]
    for _ in range(count):
        for other in rng.integers(1, len(contents), rng.integers(0, 3)):
            painter.draw(contents[other], style(50))
        figures[painter.draw(contents[0], style(50))] += 1
    return figures


def main() -> None:
    """Print how many different outcomes there were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figures", type=int, default=10_000)
    parser.add_argument("--streams", type=int, default=50_000)
    given = parser.parse_args()
    for what, outcomes in (
        ("figures", figures_in_many_orders(given.figures)),
        ("streams", streams_at_many_addresses(deflated, given.streams)),
    ):
        digests = {f"{zlib.crc32(content):08x}": count for content, count in outcomes.items()}
        print(f"{what}: {sum(outcomes.values())} made, {len(outcomes)} different: {digests}")


if __name__ == "__main__":
    main()
