"""The gateway: sends the program to browsers, files and other outputs; serves API and console; owns the scene."""
