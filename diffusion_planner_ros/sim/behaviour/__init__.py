"""Behaviour policies: how they learn on simulated robots, and the data sets recorded of them."""
