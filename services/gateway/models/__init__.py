"""Pydantic models of the HTTP API's answers and of the WebSockets' messages, one module per subject."""
