"""Writes the ephemeris of an orbit, a file of key parameters as Berkeley makes them.

The names of the variables are those of such files; their attributes are made up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from cdflib import cdfwrite

from spectro_mpi.demo.cdf import cdf_epoch
from spectro_mpi.demo.orbits import OrbitPlan
from spectro_mpi.demo.track import EARTH_RADIUS, INCLINATION, ORBIT_SECONDS, Conditions

_VERSION = 1
_CADENCE = 60.0  # s
_FILL = -1e31
_SUN_AT_RIGHT_ASCENSION = 281.0  # degrees, on the first of January
_EPOCH, _DOUBLE, _FLOAT, _INT4 = 31, 45, 44, 4
_DAY = 86400.0

Floats = npt.NDArray[np.float64]


def ephemeris_name(orbit: int) -> str:
    """Return the name of the ephemeris file of an orbit."""
    return f"fa_k0_orb_{orbit:05d}_v{_VERSION:02d}.cdf"


def write_ephemeris(path: Path, orbit: OrbitPlan) -> None:
    """Write the ephemeris of an orbit: a record a minute, from its start to its end."""
    time = orbit.track.start + np.arange(0.0, ORBIT_SECONDS + 1, _CADENCE)
    where = orbit.track.conditions(time)
    path.parent.mkdir(parents=True, exist_ok=True)
    cdf = cdfwrite.CDF(path, cdf_spec={"Encoding": cdfwrite.CDF.IBMPC_ENCODING}, delete=True)
    cdf.write_globalattrs(
        {
            "Project": {0: "FAST"},
            "Data_type": {0: "K0>Key Parameter"},
            "Descriptor": {0: "ORB>Orbit"},
            "Generated_by": {0: "spectro-mpi demo: simulated data"},
            "Logical_file_id": {0: path.stem},
        }
    )
    for name, (values, units, meaning) in _variables(orbit, where).items():
        kind = {"Epoch": _EPOCH, "unix_time": _DOUBLE, "orbit": _INT4}.get(name, _FLOAT)
        spec = {
            "Variable": name,
            "Data_Type": kind,
            "Num_Elements": 1,
            "Rec_Vary": True,
            "Dim_Sizes": list(values.shape[1:]),
            "Compress": 0,
        }
        attributes: dict[str, Any] = {"CATDESC": meaning, "FIELDNAM": name, "UNITS": units}
        if kind == _FLOAT:
            attributes["FILLVAL"] = [np.float32(_FILL), "CDF_REAL4"]
        if name != "Epoch":
            attributes["DEPEND_0"] = "Epoch"
        dtype = {_INT4: "<i4", _FLOAT: "<f4"}.get(kind, "<f8")
        cdf.write_var(spec, var_attrs=attributes, var_data=values.astype(dtype))
    cdf.close()


def _variables(orbit: OrbitPlan, where: Conditions) -> dict[str, tuple[npt.NDArray[Any], str, str]]:
    """Return the values, units and meaning of each variable, (record,) or (record, 3)."""
    time, track = where.time, orbit.track
    sign = np.where(where.north, 1.0, -1.0)
    latitude = sign * where.invariant_latitude
    universal = time % _DAY / 3600.0
    # The local time of the footprint is taken for that of its meridian.
    longitude = (15.0 * (where.local_time - universal) + 180.0) % 360.0 - 180.0
    later = track.conditions(time + 0.5)
    earlier = track.conditions(time - 0.5)
    position = _inertial(where, track.noon_first)
    velocity = _inertial(later, track.noon_first) - _inertial(earlier, track.noon_first)
    normal = _node(track.noon_first) - 90.0
    ones = np.ones(time.shape)
    return {
        "Epoch": (cdf_epoch(time), "ms", "Time"),
        "unix_time": (time, "s", "Time, s since 1970-01-01"),
        "orbit": (orbit.orbit * ones, " ", "Orbit number"),
        "r": (position, "km", "Position, GEI"),
        "v": (velocity, "km/s", "Velocity, GEI"),
        "alt": (where.altitude, "km", "Altitude"),
        "flat": (np.clip(latitude - track.dipole_tilt, -90.0, 90.0), "deg", "Footprint latitude"),
        "flng": (longitude, "deg", "Footprint longitude"),
        "mlt": (where.local_time, "hours", "Magnetic local time"),
        "ilat": (latitude, "deg", "Invariant latitude"),
        "fa_spin_ra": (normal % 360.0 * ones, "deg", "Spin axis right ascension"),
        "fa_spin_dec": ((90.0 - INCLINATION) * ones, "deg", "Spin axis declination"),
    }


def _node(noon_first: bool) -> float:
    """Return the right ascension of the ascending equator crossing, degrees."""
    return _SUN_AT_RIGHT_ASCENSION + (0.0 if noon_first else 180.0)


def _inertial(where: Conditions, noon_first: bool) -> Floats:
    """Return the position in the inertial frame, (record, 3), km."""
    node, tilt = np.deg2rad(_node(noon_first)), np.deg2rad(INCLINATION)
    forward, aside = np.cos(where.along), np.sin(where.along) * np.cos(tilt)
    radius = (where.altitude + EARTH_RADIUS)[:, None]
    return np.asarray(
        radius
        * np.stack(
            [
                forward * np.cos(node) - aside * np.sin(node),
                forward * np.sin(node) + aside * np.cos(node),
                np.sin(where.along) * np.sin(tilt),
            ],
            axis=1,
        )
    )
