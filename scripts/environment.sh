# shellcheck shell=bash
# Sourced by the other scripts: creates .venv in the project's folder and installs into it.
# Needs only Python 3.10+ and pip; MPI comes from PyPI.

make_environment() { # EXTRAS
    local python=${PYTHON:-python3}
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
        echo "Python 3.10 or newer is required; set PYTHON to one (found: $("$python" -V 2>&1))" >&2
        return 1
    fi
    # Also if an earlier attempt was interrupted.
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        echo "Making the virtual environment .venv …"
        "$python" -m venv --clear .venv
    fi
    echo "Installing spectro-mpi[$1] into .venv …"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$1]"
    PATH=$PWD/.venv/bin:$PATH
}
