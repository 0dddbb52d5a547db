"""Files as users bring them.

What they are, which of their tracks count, what is damaged, and the sentence for the rest.
"""
