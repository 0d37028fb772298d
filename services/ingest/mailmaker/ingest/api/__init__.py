"""ingest.api: the HTTP doors."""
