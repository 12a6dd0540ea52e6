"""Simulation: Walker2D, behaviour data, closed-loop evaluation; knows no ROS."""
