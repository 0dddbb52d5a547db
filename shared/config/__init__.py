"""Settings, the operator's token and the cache folder."""
