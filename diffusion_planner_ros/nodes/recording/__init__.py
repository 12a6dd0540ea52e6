"""Recorded episodes from messages."""
