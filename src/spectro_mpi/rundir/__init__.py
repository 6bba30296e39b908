"""The run directory: its files, and the lock that lets one run at a time write them."""
