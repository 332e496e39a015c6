"""Dropout in a small network, in NumPy: the method under study. Imports nothing of the machinery."""
