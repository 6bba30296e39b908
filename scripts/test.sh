#!/usr/bin/env bash
# All checks: bash scripts/test.sh [--quick] [PYTEST ARGUMENT …]
# --quick: linter, types, contracts of the layout and the fast tests, in under three minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
make_environment mpich,fast,test,docs

quick=()
if [ "${1:-}" = --quick ]; then
    shift
    quick=(-m "not slow")
fi
ruff check .
ruff format --check .
mypy
lint-imports
pytest -n 2 --no-loadscope-reorder "${quick[@]}" "$@"
