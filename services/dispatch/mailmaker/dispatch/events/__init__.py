"""dispatch.events: what this house hears on the bus."""
