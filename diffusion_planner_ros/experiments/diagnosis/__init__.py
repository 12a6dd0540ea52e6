"""Diagnosis: do the actions of a plan give its states, and how far are those from the data."""
