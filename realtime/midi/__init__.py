"""MIDI controllers: what they send moves controls, and what changes is shown on them."""
