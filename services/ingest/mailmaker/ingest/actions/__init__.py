"""ingest.actions: one promise a file; the only room that opens transactions."""
