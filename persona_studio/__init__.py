"""Persona Studio for other packages: `persona_studio.engine` is its public interface; all other top-level names are internal."""
