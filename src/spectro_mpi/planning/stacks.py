"""Who does what: snake stacks of items by size, and what comes next for an idle worker."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

AHEAD = 2
"""Tasks a worker has at least: the one it computes and the one it goes on with."""

TOLD_SECONDS = 0.25
"""What is done is told at least so often."""

CREDIT_BYTES = 64 << 20
"""Bytes of results a worker may have on the way to the writer (or one result, if larger)."""

CREDIT_OWED_BYTES = CREDIT_BYTES // 4
"""The writer gives credit back when it owes a worker so much: small results share a message."""

_MOST_AHEAD = 64
_AHEAD_SECONDS = 0.5
"""Of work a worker has if tasks are small: several share a message, and more come in time."""


class Sized(Protocol):
    """Something to schedule: a size in bytes and a place in a fixed order."""

    @property
    def size(self) -> int: ...

    @property
    def order(self) -> tuple[int, str]: ...


T = TypeVar("T", bound=Sized)


@dataclass(frozen=True)
class Stack(Generic[T]):
    """The items scheduled on one worker, largest first."""

    items: tuple[T, ...]
    percent: float
    """Share of all bytes, in percent."""

    @property
    def size(self) -> int:
        """Sum of the items' bytes."""
        return sum(item.size for item in self.items)


def tasks_ahead(mean: float, left: float) -> int:
    """Tasks a worker has that take `mean` seconds each, where each will get `left` more."""
    return max(AHEAD, int(min(_MOST_AHEAD, _AHEAD_SECONDS / max(mean, 1e-6), left)))


def worker_count(ranks: int) -> int:
    """Workers among `ranks` MPI ranks: all but coordinator and writer, but at least one."""
    return max(1, ranks - 2)


def snake(items: Sequence[T], stacks: int) -> list[Stack[T]]:
    """Deal items, by size descending (ties by order), 0, 1, …, W−1, W−1, …, 1, 0, 0, …"""
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
    """Bytes of the fullest stack over the mean, minus one."""
    sizes = [stack.size for stack in stacks]
    mean = sum(sizes) / len(sizes)
    return max(sizes) / mean - 1 if mean else 0.0


class Feeder(Generic[T]):
    """Hands out the items of the stacks; each worker's own first.

    When a stack is empty, its worker is fed from the tail (the smallest items) of the stack with
    most bytes left, unless `balanced` is False.
    """

    def __init__(self, stacks: Sequence[Stack[T]], balanced: bool = True) -> None:
        self._stacks = [deque(stack.items) for stack in stacks]
        self._left = [stack.size for stack in stacks]
        self._items = sum(len(stack.items) for stack in stacks)
        self._balanced = balanced
        # Entries go stale as stacks shrink; a stale one is renewed when it comes up.
        self._fullest = [(-left, place) for place, left in enumerate(self._left)]
        heapq.heapify(self._fullest)

    def __len__(self) -> int:
        return self._items

    def next_for(self, worker: int) -> T | None:
        """The next item for `worker` (0 to W−1), or None if there is none for it."""
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
