#!/usr/bin/env bash
# A run on sample data: bash scripts/demo.sh [FOLDER] [ORBITS]
# Creates .venv, writes sample CDF files (some damaged) into FOLDER, runs four MPI ranks on them.
set -euo pipefail
folder=$(realpath -m "${1:-demo}")
orbits=${2:-12}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
make_environment mpich,fast

if [ ! -e "$folder/spectro-mpi.toml" ]; then
    spectro-mpi demo "$folder" --orbits "$orbits" --damaged
fi
code=0
mpirun -n 4 spectro-mpi run "$folder/spectro-mpi.toml" || code=$?
# 3: finished, with failures listed. The damaged files are part of the demonstration.
[ "$code" = 0 ] || [ "$code" = 3 ] || exit "$code"
cat <<END

Done. Look at:
  report        $folder/runs/fast/report/index.html
  figures       $folder/runs/fast/plots/
  reduced data  $folder/runs/fast/spectrograms.h5
  axis limits   $folder/runs/fast/extrema.json
  progress      $folder/runs/fast/progress.json
Run the same command again: it has nothing left to do.
END
