"""common.ops: life, logs, figures, settings, clocks."""
