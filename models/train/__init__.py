"""Training of LaSAFT-Live: python -m models.train. Needs the ``train`` extra.

What other modules need of it is found here, and neither it nor torch is loaded before it is asked for: the command
has to say in a sentence what is not installed.
"""

from importlib import import_module

_PLACES = {"load": "checkpoint", "conditions_for": "conditions", "ANALYSIS": "windows", "HOP": "windows"}


def __getattr__(name: str):
    if name not in _PLACES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
