"""dispatch.api: the HTTP doors."""
