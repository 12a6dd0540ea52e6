"""Navigation: goals that plans lead to."""
