"""MPI ranks, their roles and the messages between them; the only package that imports mpi4py."""
