"""Figures: spectrograms → pixels (raster), letters and axes (frame), a PNG file (figure).

Nothing heavy is imported here, so that importing the package stays light; ask `draw.figure` for
`Painter` and what it draws. But for the figures of a run (report), this is the only room that
imports matplotlib.
"""

from __future__ import annotations

import subprocess
import sys

from spectro_mpi.settings.schema import SettingsError


def check_colormap(name: str) -> None:
    """Raise `SettingsError` if matplotlib has no colour map called `name` (empty: none named).

    Asked of another process, so that the caller need not import matplotlib.
    """
    if not name:
        return
    code = "import sys; from matplotlib import colormaps; sys.exit(sys.argv[1] not in colormaps)"
    if subprocess.run([sys.executable, "-c", code, name], check=False).returncode:
        raise SettingsError(f'plot.colormap = "{name}": matplotlib has no colour map of that name')
