"""Threads of the nodes: control, watchdogs, periodic calls, and their priority."""
