"""Simulation: robots, perturbations, behaviour data, the bridge's episodes; knows no ROS."""
