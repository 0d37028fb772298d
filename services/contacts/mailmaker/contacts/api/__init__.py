"""contacts.api: the HTTP doors."""
