"""Published planning methods as choices of settings, one YAML file each."""
