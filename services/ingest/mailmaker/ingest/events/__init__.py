"""ingest.events: the bus doors."""
