"""Figures: spectrograms → pixels (raster), text and axes (frame), PNG files (figure).

This file imports nothing heavy, so that importing the package stays fast; `Painter` is in
`draw.figure`.
"""

from __future__ import annotations

import subprocess
import sys

from spectro_mpi.settings.schema import SettingsError
from spectro_mpi.system.words import nearest


def check_colormap(name: str) -> None:
    """Check that matplotlib has a colour map called `name`; an empty name passes.

    The check runs in a subprocess, so that the caller does not import matplotlib. Raises
    `SettingsError` if there is no such colour map.
    """
    if not name:
        return
    code = "from matplotlib import colormaps; print(*colormaps)"
    listed = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    names = listed.stdout.split()
    if name not in names:
        raise SettingsError(
            f'plot.colormap = "{name}": matplotlib has no colour map of that name'
            f"{nearest(name, names)}"
        )
