"""suppression.storage: the ledger, its state and the feed in PostgreSQL."""
