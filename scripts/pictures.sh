#!/usr/bin/env bash
# Recreates the pictures of the documentation: bash scripts/pictures.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
make_environment mpich,fast,test
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

spectro-mpi demo "$work" --orbits 12 --seed 0 >/dev/null
# As the demo draws them, only smaller.
spectro-mpi run "$work/spectro-mpi.toml" --no-progress -s plot.dpi=90
mkdir -p docs/images
cp "$work"/runs/fast/plots/2000/01/13319/13319_*pitch-angle_ESA_ees_*_given_extrema-*.png docs/images/pitch-angle.png

# The report, as a browser shows it (needs Chromium).
rm -r "$work/runs"
spectro-mpi demo "$work/browse" --orbits 12 --seed 0 --damaged >/dev/null
spectro-mpi run "$work/browse/spectro-mpi.toml" --no-progress || [ $? = 3 ]
python scripts/picture_of_report.py "$work/browse/runs/fast/report/index.html" docs/images/report.png
