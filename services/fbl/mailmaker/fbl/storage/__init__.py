"""fbl.storage: raw mails and reports in PostgreSQL."""
