"""A pipeline defined in a script: mpirun -n 4 python pipeline.py SETTINGS"""

import sys

from density import Density

from spectro_mpi import Pipeline, start_pipeline

if __name__ == "__main__":
    pipeline = Pipeline(
        ["reduce", Density(), "plot"], sys.argv[1], overrides=["data.quantity=eflux"]
    )
    sys.exit(start_pipeline(pipeline))
