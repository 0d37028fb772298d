"""fbl.events: bus doors; this house hears no topic."""
