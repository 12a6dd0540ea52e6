"""Recordings: every reader and writer of them, and the windows cut from them."""
