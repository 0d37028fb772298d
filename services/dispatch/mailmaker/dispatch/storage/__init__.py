"""dispatch.storage: tables, and one module per thing stored."""
