"""The studio's processes, one package each; `local` starts them on a single machine."""
