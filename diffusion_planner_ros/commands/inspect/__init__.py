"""Verbs that show or convert a bundle, a plan or a robot."""
