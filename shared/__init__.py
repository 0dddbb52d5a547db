"""What services, engines and the command line have in common."""
