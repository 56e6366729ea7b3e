"""What people set: the schema, the loader, and the process that holds the result."""
