#!/usr/bin/env bash
# Builds a small S3 server with Go, once, into ~/.cache/persona-studio; the tests store jobs in it.
# Usage: deploy/s3.sh. If something is missing, it prints one line and the exit code is 1.
set -euo pipefail
version=v1.8.0
cache=${PERSONA_STUDIO_CACHE:-$HOME/.cache/persona-studio}
if command -v versitygw >/dev/null || [ -x "$cache/bin/versitygw" ]; then
    exit 0
elif ! command -v go >/dev/null; then
    echo "There is no S3 server and no Go to build one with; the tests that keep jobs in a bucket are left out." >&2
    exit 1
fi
mkdir -p "$cache/bin"
made=$(mktemp -d "$cache/.making-XXXXXX")
trap 'rm -rf "$made"' EXIT
echo "Building the S3 server versitygw $version, once; this takes a minute or two." >&2
GOBIN=$made nice go install "github.com/versity/versitygw/cmd/versitygw@$version" >"$made/log" 2>&1 || {
    tail -n 3 "$made/log" >&2
    echo "versitygw could not be built; the tests that keep jobs in a bucket are left out." >&2
    exit 1
}
mv "$made/versitygw" "$cache/bin/versitygw"
