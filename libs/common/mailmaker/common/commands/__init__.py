"""common.commands: what `mailmaker` does, a file for each command that is more than a call."""
