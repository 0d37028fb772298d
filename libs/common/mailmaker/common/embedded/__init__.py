"""common.embedded: launches one machine: PostgreSQL, Apache Kafka, services, SMTP sandbox, front door."""
