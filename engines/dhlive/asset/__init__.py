"""Data that an avatar needs besides its film: imported and exported in the published format, or measured."""
