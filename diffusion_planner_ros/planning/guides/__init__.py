"""Guides: preferences of a trajectory, one file each, and the registry that names them."""
