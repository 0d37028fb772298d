"""contacts.events: the bus doors."""
