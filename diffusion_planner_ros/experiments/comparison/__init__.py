"""Planning methods and policies, trained on the same data with the same budget, side by side."""
