"""Stand-ins for engines' weights and files, by seed or by rule and as small as can be, one module an engine."""
