"""The live networks by name."""

from __future__ import annotations

from models.lasaft_bands import LasaftBands, LasaftBandsConfig
from models.lasaft_live import LasaftLive, LasaftLiveConfig
from models.live_network import LiveConfig, LiveNetwork

ARCHITECTURES: dict[str, tuple[type[LiveNetwork], type[LiveConfig]]] = {
    "lasaft-live": (LasaftLive, LasaftLiveConfig),
    "lasaft-bands": (LasaftBands, LasaftBandsConfig),
}


def network(config: dict) -> LiveNetwork:
    """Return the network that `config` describes, as a checkpoint holds it; "architecture" defaults to "lasaft-live".

    Raises ValueError for an unknown architecture and for values that do not fit, TypeError for unknown fields.
    """
    values = dict(config)
    name = values.pop("architecture", "lasaft-live")
    if name not in ARCHITECTURES:
        raise ValueError(f"there is no architecture '{name}'; there are {', '.join(ARCHITECTURES)}")
    kind, configuration = ARCHITECTURES[name]
    return kind(configuration(**values))
