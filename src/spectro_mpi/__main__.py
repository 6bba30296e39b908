"""Entry point of the command `spectro-mpi` and of `python -m spectro_mpi`."""

import gc
import signal
import sys


def main() -> int:
    """Run the command line and return its exit code."""
    # Ctrl-C during imports ends the process without a traceback; a run sets its own handlers soon.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()  # what imports and the planning of a run make is no garbage
    from spectro_mpi.system.imports import read_folders_once

    read_folders_once()
    from spectro_mpi import cli
    from spectro_mpi.cli.console import open_missing_streams
    from spectro_mpi.system.signals import ignore_stop_signals

    open_missing_streams()
    code = cli.main()
    ignore_stop_signals()  # a second signal must not replace the exit code
    gc.freeze()  # Python would look for garbage among all modules as it ends
    return code


if __name__ == "__main__":
    sys.exit(main())
