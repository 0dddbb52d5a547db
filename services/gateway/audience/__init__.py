"""The audience: watch links, the viewers who use them, and the limits on both."""
