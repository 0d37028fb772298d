"""fbl.events: bus doors: what this house hears."""
