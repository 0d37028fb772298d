"""contacts.actions: one promise a file."""
