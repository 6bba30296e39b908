#!/usr/bin/env bash
# All checks: bash scripts/test.sh [--quick] [PYTEST ARGUMENT …]
# --quick: linter, types, contracts of the layout and the fast tests, in a few minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

extras=mpich,fast,test,docs,standards
workers=3  # one is for the tests on a Slurm, which mostly wait
quick=()
if [ "${1:-}" = --quick ]; then
    shift
    extras=mpich,fast,test,docs
    workers=2
    quick=(-m "not slow")
fi
make_environment "$extras"
ruff check .
ruff format --check .
mypy
lint-imports
pytest -n "$workers" --no-loadscope-reorder "${quick[@]}" "$@"
