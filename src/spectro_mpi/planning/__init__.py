"""What there is to do, who does it, and what it costs."""
