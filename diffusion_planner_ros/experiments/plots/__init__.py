"""Pictures and videos of what experiments measured."""
