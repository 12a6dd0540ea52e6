"""Pictures of the four comparisons of ``experiments/figures``."""
