"""common.web: the doors' manners."""
