"""The one error that reaches users: a sentence they can act on."""


class HostError(ValueError):
    """What was wrong, what is allowed, and what happens now, in one sentence."""
