"""The data model, and pure array science on it: no files, no MPI."""
