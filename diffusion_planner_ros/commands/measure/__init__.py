"""Verbs that measure planners."""
