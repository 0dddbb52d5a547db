"""Sessions measured: what one costs and where, how many there may be, what is left of those that ended, how soon they are back."""
