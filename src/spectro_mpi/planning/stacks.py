"""Assign items to workers: snake stacks of items by size, and the next item for an idle worker."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from spectro_mpi.settings.schema import FEW_WORKERS

AHEAD = 2
"""Fewest tasks a worker holds: the one it computes and the next one."""

REPORT_SECONDS = 0.25
"""Longest time between two reports of finished tasks by a worker, while it has more to do."""

CREDIT_BYTES = 64 << 20
"""Bytes of results a worker may have on the way to the writer (or one result, if larger)."""

CREDIT_OWED_BYTES = CREDIT_BYTES // 4
"""With more bytes of a worker than this, the writer commits: the worker may be waiting for it."""

_MOST_AHEAD = 64
"""Most tasks a worker holds."""
_AHEAD_SECONDS = 0.5
"""Seconds of work a worker holds if tasks are small: several share a message, more come in time."""


class Sized(Protocol):
    """Anything to schedule: it has a size and a place in a fixed order."""

    @property
    def size(self) -> int:
        """Bytes of input."""
        ...

    @property
    def order(self) -> tuple[int, str]:
        """Sort key."""
        ...


T = TypeVar("T", bound=Sized)


@dataclass(frozen=True)
class Stack(Generic[T]):
    """The items scheduled on one worker, largest first."""

    items: tuple[T, ...]
    percent: float
    """Share of all bytes, in percent."""

    @property
    def size(self) -> int:
        """Total size of the items, bytes."""
        return sum(item.size for item in self.items)


class Stacks(list[Stack[T]]):
    """Stacks of items, which a notebook shows as a table."""

    def _repr_html_(self) -> str:
        from spectro_mpi.model import html

        rows = [
            (number, len(stack.items), f"{stack.size / 1e6:.1f}", f"{stack.percent:.2f}")
            for number, stack in enumerate(self)
        ]
        return html.table(("stack", "items", "MB", "percent"), rows)


def tasks_ahead(mean: float, left: float) -> int:
    """Tasks a worker should hold if they take `mean` seconds, with `left` more for each worker."""
    return max(AHEAD, int(min(_MOST_AHEAD, _AHEAD_SECONDS / max(mean, 1e-6), left)))


def window_of(place: int, workers: int, batch_size: int) -> int:
    """Finished items that a worker (its number among `workers`) may have uncommitted.

    It is one, and its share of `batch_size` − 1: all windows together are `workers` + `batch_size`
    − 1.
    """
    share, rest = divmod(batch_size - 1, workers)
    return 1 + share + (place < rest)


def hurried_at(window: int, workers: int) -> int:
    """Uncommitted items of one worker, of so many, at which the writer commits in any case.

    It is the worker's window, so that the worker waits. Where many share the writer, it is one less
    from a window of three on: the commit takes place while the worker computes its last item.
    """
    return window - (window > 2 and workers > FEW_WORKERS)


def worker_count(ranks: int) -> int:
    """Workers among `ranks` MPI ranks: all except coordinator and writer, and at least one."""
    return max(1, ranks - 2)


def snake(items: Sequence[T], stacks: int) -> list[Stack[T]]:
    """Deal items to W stacks, largest first (ties by order): 0, 1, …, W−1, W−1, …, 1, 0, 0, …"""
    dealt: list[list[T]] = [[] for _ in range(stacks)]
    for place, item in enumerate(sorted(items, key=lambda item: (-item.size, item.order))):
        turn, column = divmod(place, stacks)
        dealt[column if turn % 2 == 0 else stacks - 1 - column].append(item)
    total = sum(item.size for item in items)
    return [
        Stack(tuple(stack), 100 * sum(item.size for item in stack) / total if total else 0.0)
        for stack in dealt
    ]


def imbalance(stacks: Sequence[Stack[T]]) -> float:
    """Size of the largest stack relative to the mean, minus one."""
    sizes = [stack.size for stack in stacks]
    mean = sum(sizes) / len(sizes)
    return max(sizes) / mean - 1 if mean else 0.0


class Feeder(Generic[T]):
    """Hands out the items of the stacks, to each worker first those of its stack.

    When a stack is empty, its worker gets items from the tail (the smallest items) of the stack
    with the most bytes left, unless `balanced` is False.
    """

    def __init__(self, stacks: Sequence[Stack[T]], balanced: bool = True) -> None:
        self._stacks = [deque(stack.items) for stack in stacks]
        self._left = [stack.size for stack in stacks]
        self._items = sum(len(stack.items) for stack in stacks)
        self._balanced = balanced
        # Entries become stale as stacks shrink; a stale entry is updated when it is on top.
        self._fullest = [(-left, place) for place, left in enumerate(self._left)]
        heapq.heapify(self._fullest)

    def __len__(self) -> int:
        return self._items

    def next_for(self, worker: int) -> T | None:
        """The next item for `worker` (0 to W−1), or None if there is none left for it."""
        if self._stacks[worker]:
            return self._take(worker, self._stacks[worker].popleft())
        victim = self._fullest_stack() if self._balanced else None
        return None if victim is None else self._take(victim, self._stacks[victim].pop())

    def _take(self, stack: int, item: T) -> T:
        self._left[stack] -= item.size
        self._items -= 1
        return item

    def _fullest_stack(self) -> int | None:
        while self._fullest:
            left, place = self._fullest[0]
            if not self._stacks[place]:
                heapq.heappop(self._fullest)
            elif -left != self._left[place]:
                heapq.heapreplace(self._fullest, (-self._left[place], place))
            else:
                return place
        return None
