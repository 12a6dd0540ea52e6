"""From measurements of a robot at any rate to episodes at its control rate."""
