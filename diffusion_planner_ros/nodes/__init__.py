"""ROS 2: nodes, message conversions, and running them."""
