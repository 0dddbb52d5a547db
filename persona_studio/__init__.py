"""Persona Studio's public interface for other packages: `persona_studio.engine` and `persona_studio.voice`.

All other top-level packages are internal.
"""
