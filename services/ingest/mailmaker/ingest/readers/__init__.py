"""ingest.readers: bytes to staged rows, in a process of their own."""
