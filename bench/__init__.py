"""bench: what the platform does, as ratios of what the machine can do, both measured in one run."""
