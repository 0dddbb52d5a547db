"""Sessions measured: their cost by part, how many fit, what those that ended leave, how soon they are back."""
