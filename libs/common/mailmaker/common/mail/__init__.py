"""common.mail: addresses, tokens, replies."""
