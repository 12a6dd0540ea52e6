"""Alignment as an experiment: the loop in simulators, from logs, and studies of it."""
