"""What separators are worth, measured through their files and the streaming engine: python -m models.evaluate."""
