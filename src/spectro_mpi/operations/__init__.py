"""What people do with a run from outside: status, verify, cancel, submit, join."""
