"""Code that services, engines and the command line share."""
