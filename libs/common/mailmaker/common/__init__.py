"""common: what two houses need for the same reason, and no business rule."""
