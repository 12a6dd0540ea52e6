"""What several nodes need: parameters, diagnostics, conversions, threads, start and end."""
