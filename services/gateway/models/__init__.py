"""What the HTTP API answers and its state socket sends, as pydantic models by subject."""
