"""Tempo: where the beat is, and settings that wait for it."""
