"""Settings, the operator's token, the cache folder."""
