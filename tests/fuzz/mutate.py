"""Ways to spoil a CDF file, chosen by chance from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable

_MOST_BITS = 64
_BLOCK = 4096


def mutate(content: bytes, seed: int) -> bytes:
    """A spoilt copy: the same seed spoils in the same way."""
    chance = random.Random(seed)
    spoilt = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        chance.choice(_WAYS)(spoilt, chance)
    return bytes(spoilt)


def _flip_bits(content: bytearray, chance: random.Random) -> None:
    # Half of the time among the records that describe, where it matters most.
    end = len(content) if chance.random() < 0.5 else min(len(content), 20_000)
    for _ in range(chance.randint(1, _MOST_BITS)):
        if end:
            content[chance.randrange(end)] ^= 1 << chance.randrange(8)


def _truncate(content: bytearray, chance: random.Random) -> None:
    del content[chance.randint(0, len(content)) :]


def _change_a_length(content: bytearray, chance: random.Random) -> None:
    """Every record of a CDF begins with its size (8 bytes) and its type (4 bytes, 1 to 13)."""
    at = [i for i in range(8, len(content) - 12, 4) if _is_record(content, i)]
    if at:
        place = chance.choice(at)
        size = chance.choice((0, 1, 11, 1 << 31, 1 << 62, (1 << 64) - 1, chance.getrandbits(24)))
        content[place : place + 8] = size.to_bytes(8, "big")


def _is_record(content: bytearray, at: int) -> bool:
    size = int.from_bytes(content[at : at + 8], "big")
    return (
        12 <= size <= len(content) - at
        and 1 <= content[at + 11] <= 13
        and not any(content[at + 8 : at + 11])
    )


def _change_a_number(content: bytearray, chance: random.Random) -> None:
    """Any four bytes near the start: offsets, counts, types."""
    if len(content) >= 8:
        place = chance.randrange(0, min(len(content) - 4, 20_000)) // 4 * 4
        number = chance.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, chance.getrandbits(16)))
        content[place : place + 4] = number.to_bytes(4, "big")


def _swap_blocks(content: bytearray, chance: random.Random) -> None:
    if len(content) > 2 * _BLOCK:
        one, other = (chance.randrange(len(content) - _BLOCK) for _ in range(2))
        first, second = content[one : one + _BLOCK], content[other : other + _BLOCK]
        content[one : one + _BLOCK] = second
        content[other : other + _BLOCK] = first


def _blank_a_block(content: bytearray, chance: random.Random) -> None:
    if len(content) > _BLOCK:
        at = chance.randrange(len(content) - _BLOCK)
        content[at : at + _BLOCK] = bytes(_BLOCK)


_WAYS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip_bits,
    _truncate,
    _change_a_length,
    _change_a_number,
    _swap_blocks,
    _blank_a_block,
)
