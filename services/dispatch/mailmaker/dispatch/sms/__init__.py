"""dispatch.sms: speaks SMPP 3.4: PDUs, sessions, receipts."""
