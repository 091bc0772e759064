"""What experiments keep: rows, what these depend on, tables and pictures."""
