"""The gateway's part of sessions: which ones are wanted, how many more fit, and their portraits."""
