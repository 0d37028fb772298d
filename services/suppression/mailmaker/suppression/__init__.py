"""suppression: the append-only ledger of every "no", and its feed."""
