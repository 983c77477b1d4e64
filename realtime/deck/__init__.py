"""The deck: a file that is played like an instrument, with jumps and loops that land on the sample."""
