"""The command line: one module per group of subcommands."""

from spectro_mpi.cli.main import main as main
