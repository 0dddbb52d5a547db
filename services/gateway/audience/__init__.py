"""The audience: links that may only watch, who watches by them, and what that costs."""
