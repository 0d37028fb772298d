"""dispatch.actions: one file per promise; the only room that opens a transaction."""
