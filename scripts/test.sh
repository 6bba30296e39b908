#!/usr/bin/env bash
# All checks: bash scripts/test.sh [PYTEST ARGUMENT …]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
make_environment mpich,fast,test,docs

ruff check .
ruff format --check .
mypy
pytest -n 2 --no-loadscope-reorder "$@"
