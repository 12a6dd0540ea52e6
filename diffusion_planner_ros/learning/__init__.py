"""Learning: data sets, networks, training, export; knows neither onnxruntime nor ROS."""
