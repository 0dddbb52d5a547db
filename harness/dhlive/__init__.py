"""What tries the `dhlive` engine."""
