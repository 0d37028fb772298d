"""contacts.storage: what is kept, and the only SQL."""
