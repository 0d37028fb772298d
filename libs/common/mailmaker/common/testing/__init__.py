"""common.testing: shipped fakes, factories and the ledger sink."""
