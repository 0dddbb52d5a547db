"""Face and plate in, the program out, on the program's clock."""
