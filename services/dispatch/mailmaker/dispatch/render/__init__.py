"""dispatch.render: templates compiled once a mailing, and the exact bytes of each mail."""
