"""fbl.inbound: the SMTP door."""
