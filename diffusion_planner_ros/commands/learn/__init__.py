"""Verbs that make data, models and bundles."""
