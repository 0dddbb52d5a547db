#!/usr/bin/env bash
# Prints the Python to install the studio with: python3 if its version is supported, otherwise the first of the others that is.
set -euo pipefail
for candidate in python3 python3.13 python3.12 python3.11 python3.14; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
        echo "$candidate"
        exit
    fi
done
echo "Persona Studio needs Python 3.11 to 3.14; install it (Debian: apt install python3 python3-venv) and run this again." >&2
exit 1
