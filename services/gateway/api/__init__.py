"""The HTTP API: application, security, uploads, sockets, metrics, state snapshot."""
