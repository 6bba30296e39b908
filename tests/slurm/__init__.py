"""Tests on a real Slurm of two nodes, started for them on this machine."""
