"""dispatch.relay: the relay: claims, prepares, looks a last time, and speaks SMTP."""
