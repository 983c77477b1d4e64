"""Effects on the stems and on the master: plugins in processes of their own, at a delay that is told."""
