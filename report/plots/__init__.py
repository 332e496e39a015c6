"""Figures: their rows, the charts that draw exactly these, and the processes in which matplotlib does it."""
