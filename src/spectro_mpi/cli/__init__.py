"""The command line: one module for each group of subcommands."""

from spectro_mpi.cli.main import main as main
