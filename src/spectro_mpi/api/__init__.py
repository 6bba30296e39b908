"""Functions for notebooks and scripts."""
