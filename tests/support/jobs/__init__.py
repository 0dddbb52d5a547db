"""Jobs and farms of workers for tests."""
