"""The likely cause of a run's end, from its samples and logs."""
