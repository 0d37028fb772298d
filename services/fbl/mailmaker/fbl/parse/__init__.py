"""fbl.parse: from raw bytes to what a mail says; bounded, pure but for the cell."""
