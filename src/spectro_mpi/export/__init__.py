"""Runs as files of archives: CDF by the ISTP guidelines, netCDF by the CF conventions."""
