"""suppression.actions: one promise each; the only place that opens a transaction."""
