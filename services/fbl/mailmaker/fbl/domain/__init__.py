"""fbl.domain: what a report is and what follows from it; pure."""
