"""Plan a run: which items to process, which worker gets them, and what they cost."""
