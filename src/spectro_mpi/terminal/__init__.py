"""Words and bars on the user's screen."""
