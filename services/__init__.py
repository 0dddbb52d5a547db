"""The studio's processes, one package each, and what starts them on one machine (`local`)."""
