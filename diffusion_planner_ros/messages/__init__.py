# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
What messages say, read by the names of their fields.

No ROS is needed: messages are rclpy's, or those of a recording that another library reads.
"""
