"""What makes the pictures and tables of the documentation: a command a file, from code and from `docs/data`."""
