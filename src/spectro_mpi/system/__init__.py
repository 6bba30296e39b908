"""This machine: files, processes, signals, limits, the scheduler. Knows nothing of spectrograms."""
