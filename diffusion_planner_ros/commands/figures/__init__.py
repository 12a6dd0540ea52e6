"""Verbs that each make one figure and the numbers in it."""
