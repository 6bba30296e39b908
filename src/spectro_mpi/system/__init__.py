"""The machine: files, processes, signals, limits, the scheduler. Independent of spectrograms."""
