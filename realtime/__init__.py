"""The real-time host: rings, frames, separator, mixer, devices, control. Imports neither torch nor Qt."""
