"""The method under study."""
