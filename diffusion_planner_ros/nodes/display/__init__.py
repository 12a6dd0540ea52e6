"""Plans as markers for rviz."""
