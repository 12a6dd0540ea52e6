"""The page itself: all that knows of viser."""
