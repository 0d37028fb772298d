"""dispatch.domain: pure decisions about mailings and their messages."""
