"""Policies that learn from the same data as the planners, and are compared with them."""
