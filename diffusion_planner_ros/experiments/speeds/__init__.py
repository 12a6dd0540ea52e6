"""How well a planner follows commanded speeds."""
