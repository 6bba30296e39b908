"""Calls in a process of their own: it may go, and the next call has another."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

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


def test_a_call_that_does_not_end_is_ended() -> None:
    with UntrustedCalls(cpu_seconds=1) as untrusted:
        with pytest.raises(ChildProcessError):
            untrusted(any, itertools.repeat(0))
        assert untrusted(len, "four") == 4


def test_a_call_cannot_take_more_memory_than_it_may() -> None:
    with UntrustedCalls(memory_mb=200) as untrusted:
        with pytest.raises(MemoryError):
            untrusted(bytearray, 1 << 30)
        assert untrusted(len, bytes(1 << 20)) == 1 << 20


def test_a_call_that_waits_for_what_does_not_come_is_ended() -> None:
    read, write = os.pipe()  # nobody writes to it
    with UntrustedCalls(silent_seconds=1) as untrusted:
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="has not answered for 1 s"):
            untrusted(Path("/proc", str(os.getpid()), "fd", str(read)).read_bytes)
        assert time.monotonic() - began < 30
        assert untrusted(len, "four") == 4
    os.close(read)
    os.close(write)


def test_a_call_that_computes_is_not_silent() -> None:
    with UntrustedCalls(cpu_seconds=2, silent_seconds=0.5) as untrusted:
        with pytest.raises(ChildProcessError):  # ended for its CPU time
            untrusted(any, itertools.repeat(0))
        assert untrusted(len, "four") == 4
