"""ONNX graphs that are put together from exported ones."""
