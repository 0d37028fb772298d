"""fbl: raw inbound reports, what they say, and the "no"s in them."""
