"""ingest: files in, staged rows and row errors out."""
