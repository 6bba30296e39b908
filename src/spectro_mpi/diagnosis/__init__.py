"""Why a run died: the likely cause, by samples and logs."""
