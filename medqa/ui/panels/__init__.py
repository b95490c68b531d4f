"""The probes under an answer, one file each: a question that opens in place. What they share is in panel.py."""
