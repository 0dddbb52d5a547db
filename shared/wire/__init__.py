"""Messages between services, and the streams that carry them."""
