"""Arrangements written and rendered by ourselves: chords, grooves, bass lines and tunes in two dozen styles."""
