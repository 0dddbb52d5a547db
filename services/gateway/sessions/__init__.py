"""Sessions as the gateway wants them."""
