"""contacts.domain: the decisions, pure."""
