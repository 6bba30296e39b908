#!/usr/bin/env bash
# Recreates the pictures of the documentation: bash scripts/pictures.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
make_environment mpich,fast,test
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

spectro-mpi demo "$work" --orbits 12 --seed 0 >/dev/null
spectro-mpi run "$work/spectro-mpi.toml" --no-progress \
    -s data.quantity=eflux -s 'plot.scales=[["log", "log"]]' -s plot.dpi=90 \
    -s 'plot.panel_size=[12.0, 2.0]' -s plot.limits='["given_extrema"]'
mkdir -p docs/images
cp "$work"/runs/fast/plots/2000/01/13319/13319_pitch-angle_ESA_ees_*.png docs/images/pitch-angle.png

# The report, as a browser shows it (needs Chromium).
rm -r "$work/runs"
spectro-mpi demo "$work/browse" --orbits 12 --seed 0 --damaged >/dev/null
spectro-mpi run "$work/browse/spectro-mpi.toml" --no-progress -s 'plot.scales=[["log", "log"]]' || [ $? = 3 ]
python scripts/picture_of_report.py "$work/browse/runs/fast/report/index.html" docs/images/report.png
