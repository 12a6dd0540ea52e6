"""How long planning takes, beside the same plans in PyTorch."""
