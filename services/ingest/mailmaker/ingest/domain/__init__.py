"""ingest.domain: what a file, a column and a cell may be. Pure."""
