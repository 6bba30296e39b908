"""`python -m spectro_mpi` is `spectro-mpi`."""

import sys

from spectro_mpi.cli import main

if __name__ == "__main__":
    sys.exit(main())
