"""What an avatar needs besides its film: read from and written to the published format, measured from a film, drawn."""
