"""Output on the user's terminal: progress and summaries."""
