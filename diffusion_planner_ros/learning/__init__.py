# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Learning: data sets, networks, training, export; knows neither onnxruntime nor ROS."""
