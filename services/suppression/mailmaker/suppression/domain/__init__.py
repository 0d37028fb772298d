"""suppression.domain: what a "no" is and what it means; pure."""
