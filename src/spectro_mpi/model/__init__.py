"""What the program speaks of, and pure array science on it: no files, no MPI."""
