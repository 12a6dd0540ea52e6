"""Experiments: closed-loop measurements of a planner, in process and through ROS."""
