"""Ranks, roles and messages: the only room that imports mpi4py, and only in `transport`."""
