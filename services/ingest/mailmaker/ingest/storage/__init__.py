"""ingest.storage: rows in PostgreSQL and files on disk."""
