"""Intermediate blocks: what a U-Net does at each of its levels.

A block is built for `inputs` channels and a number of bins, and gives the U-Net's own number of channels.
It is called with the frames, a `modulate` to be applied where its paper says, and the `embedding` of the
condition (None where there is none).
"""
