"""Wildcards of file names: what they match, and that long names cost no time."""

from __future__ import annotations

import random
import re

import pytest

from spectro_mpi.settings.file_pattern import FilePattern

HOSTILE = "a" * 250


def plainly(pattern: str, name: str) -> str | None:
    """What `{orbit}` stands for, by a regular expression that tries everything."""
    regex = re.escape(pattern).replace(r"\*", ".*?").replace(r"\?", ".")
    matched = re.fullmatch(regex.replace(r"\{orbit\}", r"(\d+)"), name, re.IGNORECASE)
    return matched and matched[1]


def test_wildcards_match_what_a_plain_search_matches() -> None:
    chance = random.Random(1)
    matches = 0
    for _ in range(3000):
        parts = chance.choices("**a_?", k=chance.randint(1, 7))
        parts.insert(chance.randint(0, len(parts)), "{orbit}")
        pattern = "".join(parts) + ".cdf"
        name = "".join(chance.choices("aa__12", k=chance.randint(1, 12))) + ".cdf"
        match = FilePattern(pattern).match(name)
        assert (match and match.words["orbit"]) == plainly(pattern, name), (pattern, name)
        matches += match is not None
    assert matches > 300


@pytest.mark.parametrize("wildcards", [4, 20])
def test_many_wildcards_fail_at_once_on_a_long_name(wildcards: int) -> None:
    # Trying all places of 20 wildcards would outlast the test.
    assert FilePattern("*a" * wildcards + "*{orbit}.cdf").match(HOSTILE) is None
