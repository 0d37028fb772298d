"""common.storage: engine, transactions, migrations, streams."""
