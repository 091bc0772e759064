"""What experiments keep on disk: rows of results, their configuration, arrays and pictures."""
