"""What plans promise and what comes of it: four comparisons, one figure each."""
