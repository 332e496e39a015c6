"""How results come to exist: what is planned, how a run becomes a record, and when a record is stale."""
