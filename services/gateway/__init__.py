"""The gateway: the program to browsers and files, the HTTP API, the console, and the channel's scene."""
