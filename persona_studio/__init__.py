"""Persona Studio for other packages: `persona_studio.engine` is its public interface.

All other top-level names are internal.
"""
