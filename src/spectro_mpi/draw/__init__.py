"""Figures: spectrograms → pixels (raster), text and axes (frame), PNG files (figure).

This file imports nothing heavy, so that importing the package stays fast; `Painter` is in
`draw.figure`.
"""

from __future__ import annotations

import subprocess
import sys

from spectro_mpi.settings.schema import SettingsError


def check_colormap(name: str) -> None:
    """Check that matplotlib has a colour map called `name`; an empty name passes.

    The check runs in a subprocess, so that the caller does not import matplotlib. Raises
    `SettingsError` if there is no such colour map.
    """
    if not name:
        return
    code = "import sys; from matplotlib import colormaps; sys.exit(sys.argv[1] not in colormaps)"
    if subprocess.run([sys.executable, "-c", code, name], check=False).returncode:
        raise SettingsError(f'plot.colormap = "{name}": matplotlib has no colour map of that name')
