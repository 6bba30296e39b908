#!/usr/bin/env bash
# All checks: bash scripts/test.sh [--quick] [PYTEST ARGUMENT …]
# --quick: linter, types, contracts of the layout and the fast tests, in under three minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
make_environment mpich,fast,test,docs

workers=3  # one is for the tests on a Slurm, which mostly wait
quick=()
if [ "${1:-}" = --quick ]; then
    shift
    workers=2
    quick=(-m "not slow")
fi
ruff check .
ruff format --check .
mypy
lint-imports
pytest -n "$workers" --no-loadscope-reorder "${quick[@]}" "$@"
