"""Training data: the corpus of free stems, rendered pools, random remixes."""
