"""Diffusion planning on ROS 2: learn from recorded data, export, and plan on a robot."""
