"""Where the command `spectro-mpi` (or `python -m spectro_mpi`) begins."""

import signal
import sys


def main() -> int:
    """Run the command line; returns the exit code."""
    # A Ctrl-C in the midst of imports ends the process without a traceback; a run listens soon.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from spectro_mpi import cli
    from spectro_mpi.system.signals import heed_no_stops

    code = cli.main()
    heed_no_stops()  # the second of two signals must not take the place of the exit code
    return code


if __name__ == "__main__":
    sys.exit(main())
