"""The track of FAST: a Kepler orbit over both poles, in the dipole field of the Earth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spectro_mpi.model.ephemeris import loss_cone

Floats = npt.NDArray[np.float64]

ORBIT_SECONDS = 7980.0

EARTH_RADIUS = 6371.0  # km
INCLINATION = 83.0  # degrees
_PERIGEE, _APOGEE = 350.0, 4175.0  # km


@dataclass(frozen=True)
class Track:
    """The path of FAST over one orbit, in the noon-midnight plane."""

    start: float  # s since 1970, at the ascending equator crossing
    apogee_latitude: float  # degrees from the equator along the path; 90 is the north pole
    dipole_tilt: float  # degrees, magnetic minus geographic latitude
    noon_first: bool  # FAST flies north on the day side, south on the night side

    def conditions(self, time: Floats) -> Conditions:
        """Return the position of FAST at times `time`, (record,), s since 1970."""
        semi_major = EARTH_RADIUS + (_PERIGEE + _APOGEE) / 2
        eccentricity = (_APOGEE - _PERIGEE) / 2 / semi_major
        perigee = np.deg2rad(self.apogee_latitude - 180.0)
        # Mean anomaly since perigee; zero argument of latitude (the node) is at the orbit's start.
        at_node = _mean_anomaly(-perigee, eccentricity)
        mean = at_node + 2 * np.pi * (time - self.start) / ORBIT_SECONDS
        eccentric = mean
        for _ in range(8):  # Kepler's equation; converges as eccentricity**8
            eccentric = mean + eccentricity * np.sin(eccentric)
        radius = semi_major * (1 - eccentricity * np.cos(eccentric))
        true = 2 * np.arctan2(
            np.sqrt(1 + eccentricity) * np.sin(eccentric / 2),
            np.sqrt(1 - eccentricity) * np.cos(eccentric / 2),
        )
        along = true + perigee
        latitude = np.rad2deg(np.arcsin(np.sin(np.deg2rad(INCLINATION)) * np.sin(along)))
        magnetic = np.deg2rad(np.clip(latitude + self.dipole_tilt, -89.0, 89.0))
        invariant = np.arccos(np.minimum(np.cos(magnetic) * np.sqrt(EARTH_RADIUS / radius), 1.0))
        sunward = np.cos(along) if self.noon_first else -np.cos(along)
        altitude, latitude = radius - EARTH_RADIUS, np.rad2deg(invariant)
        across = np.cos(np.deg2rad(INCLINATION)) * np.sin(along)
        noon = 12.0 if self.noon_first else 0.0
        return Conditions(
            time=time,
            invariant_latitude=latitude,
            altitude=altitude,
            north=magnetic > 0,
            sunward=sunward,
            loss_cone=loss_cone(altitude, latitude),
            local_time=(noon + np.arctan2(across, np.cos(along)) * 12.0 / np.pi) % 24.0,
            along=along,
        )


@dataclass(frozen=True)
class Conditions:
    """The position of FAST and what depends on it; all arrays are (record,)."""

    time: Floats  # s since 1970
    invariant_latitude: Floats  # degrees
    altitude: Floats  # km
    north: npt.NDArray[np.bool_]
    sunward: Floats  # 1 at the equator at noon, 0 at the pole, -1 at midnight
    loss_cone: Floats  # degrees, half angle
    local_time: Floats  # h, magnetic
    along: Floats  # radians along the orbit from the ascending equator crossing

    @property
    def day(self) -> npt.NDArray[np.bool_]:
        return self.sunward > 0


def _mean_anomaly(true: float, eccentricity: float) -> float:
    half = np.sqrt((1 - eccentricity) / (1 + eccentricity)) * np.tan(true / 2)
    eccentric = 2 * np.arctan(half)
    return float(eccentric - eccentricity * np.sin(eccentric))
