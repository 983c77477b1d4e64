"""The window: a Qt client of the host, in a process of its own, that knows nothing of it but the OSC address space."""
