"""Recordings of ``ros2 bag``, read without ROS."""
