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

# The page on physics.
physics="$work/physics"
spectro-mpi demo "$physics" --orbits 1 >/dev/null
spectro-mpi run "$physics/spectro-mpi.toml" --no-progress -s 'data.quantity="eflux"' \
    -s 'run_id="physics"' -s 'plot.kinds=["angle", "summary"]' -s plot.dpi=60
figure=(--style double-column -s plot.dpi=140)
run="$physics/runs/physics"
spectro-mpi draw "$run" 13312 "${figure[@]}" --instrument ees --time 01:12,01:22 -o docs/images/inverted-v.png
spectro-mpi draw "$run" 13312 "${figure[@]}" --instrument ies --kind angle --time 01:12,01:22 -o docs/images/conic.png
spectro-mpi draw "$run" 13312 "${figure[@]}" --instrument ies --time 00:40,00:52 -o docs/images/cusp.png
spectro-mpi draw "$run" 13312 --kind summary -s plot.dpi=80 -o docs/images/summary.png
