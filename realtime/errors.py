"""The one error that reaches users: a sentence they can act on."""


class HostError(ValueError):
    """What was wrong, what is allowed, and what happens now, in one sentence."""


class DeviceError(HostError):
    """The sound device cannot be had as things are; another one, or the same one later, may be."""
