"""Calls in a process of their own: it may go, and the next call has another."""

from __future__ import annotations

import os

import pytest

from spectro_mpi.system.untrusted import UntrustedCalls


def test_a_call_that_ends_its_process_is_told_and_the_next_one_works() -> None:
    with UntrustedCalls() as untrusted:
        assert untrusted(len, "four") == 4
        with pytest.raises(ChildProcessError):
            untrusted(os.abort)
        assert untrusted(len, "five!") == 5


def test_what_a_call_raises_is_raised_here() -> None:
    with UntrustedCalls() as untrusted, pytest.raises(FileNotFoundError):
        untrusted(os.listdir, "/nowhere")
