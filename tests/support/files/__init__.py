"""Sound, images, video and other files for tests."""
