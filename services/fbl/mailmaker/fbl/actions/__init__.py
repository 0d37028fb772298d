"""fbl.actions: one promise a file; the only rooms that open transactions."""
