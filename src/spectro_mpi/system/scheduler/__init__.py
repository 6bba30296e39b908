"""The batch system a run lives in, if any."""
