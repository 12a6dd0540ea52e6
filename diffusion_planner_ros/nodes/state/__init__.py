"""From messages to the robot's state at the control rate."""
