"""Child processes for heavy work and untrusted files: avatar builds, template checks."""
