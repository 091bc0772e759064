"""`compare`: every model on the same data, measured alike."""
