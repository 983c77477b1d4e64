"""Give a trained checkpoint a share of the static mask that is best on average over the training mixtures.

    python -m models.shrink CHECKPOINT --pool POOL --share 0.5 -o OUT

A network trained on few songs is surer of its masks than it has reason to be on others. Taking a fixed
share of the best mask without any network (per band, least squares over the train songs' own mixtures)
costs depth of isolation on familiar music and gains accuracy on unfamiliar music.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from models.bandloss import band_sums
from models.data.corpus import STEMS
from models.data.pool import Pool
from models.data.remix import Remix
from models.live_network import LiveNetwork
from models.train import ANALYSIS, HOP, load
from realtime.windows import analysis_window

_SCENES = 25


def static_mask(model: LiveNetwork, pool: Pool) -> torch.Tensor:
    """Return the least-squares gains per stem and band, [stems, bands], over mixtures of one song each."""
    window = analysis_window(ANALYSIS, model.config.n_fft)
    data = Remix(pool, lanes=16, frames=64, hop=HOP, window=window, seed=5, from_one_song=1.0)
    one_hot = torch.eye(len(STEMS)).expand(16, len(STEMS), len(STEMS))
    above = below = 0.0
    for _ in range(_SCENES):
        sums, powers = band_sums(*data.next(), one_hot, model.bands.edges)
        # Every scene counts alike, however loud.
        weight = 1 / (powers[:, :, :2].sum((1, 2, 3)) + 1e3)
        above = above + np.einsum("b,btqck->qk", weight, sums[1])
        below = below + np.einsum("b,btck->k", weight, powers[:, :, :2])
    return torch.from_numpy(np.clip(above / below, 0, 1)).float()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    model = load(options.checkpoint)
    model.static_mask.copy_(static_mask(model, Pool(options.pool)))
    model.static_share.fill_(options.share)
    # Weights alone, in half precision: enough to export, and to train on from.
    weights = {k: v.half() for k, v in model.state_dict().items()}
    torch.save({"config": model.config.to_dict(), "average": weights}, options.output)


if __name__ == "__main__":
    main()
