"""A filmed body understood once: what each frame shows, what is fit to be shown, how it is looped."""
