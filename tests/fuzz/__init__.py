"""Fuzzing of everything that is read from a pull request; see `python -m tests.fuzz --help`."""
