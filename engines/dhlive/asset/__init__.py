"""What an avatar needs beside its film: read from and written to the published format, measured from a film, drawn."""
