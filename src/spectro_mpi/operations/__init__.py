"""Operations on a run from outside: status, verify, cancel, submit, join."""
