"""Robustness: episodes of changed robots and with late plans, side by side."""
