"""Goals: points of a plane, and what they fix of a robot's state."""
