"""What networks can learn beside the trajectories and returns that were recorded."""
