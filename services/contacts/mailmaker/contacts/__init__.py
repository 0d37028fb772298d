"""contacts: accounts, keys, lists, contacts and their consent."""
