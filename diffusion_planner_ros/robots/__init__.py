"""Robots: a folder each, with the layout of state and action, the task, and the URDF."""
