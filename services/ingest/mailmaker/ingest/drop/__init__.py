"""ingest.drop: the SFTP and FTPS doors."""
