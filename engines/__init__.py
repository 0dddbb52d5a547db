"""The engine interface and the engines. A library that the generator service and the renderer run."""
