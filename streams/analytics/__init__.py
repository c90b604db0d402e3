"""The log as tables: an export to files, and what is read from them. Never calls a vendor, never writes to Kafka."""
