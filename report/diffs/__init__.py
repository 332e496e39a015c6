"""What changed in meaning between two states of the repository."""
