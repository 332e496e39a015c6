"""The tables by kind: each builds one from what is recorded and quoted."""
