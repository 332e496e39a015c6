"""The judge: from claims and what cells say to verdicts, with their power, their robustness and what would settle them."""
