"""fbl.api: HTTP doors."""
