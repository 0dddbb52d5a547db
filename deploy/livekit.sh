#!/usr/bin/env bash
# Gets what publishing to LiveKit needs and the repository does not contain, once, into ~/.cache/persona-studio:
# the server (the one on the path, else built with Go) and the library of the page that viewers open (from npm).
# Usage: deploy/livekit.sh [--library]; with --library only the library. Prints one line for what is not available; the exit code is 1 if that is the server.
set -euo pipefail
server_version=v1.13.5
client_version=2.23.0
# SHA-512 of the package's archive, as published for this version.
client_sha512=j9Kg86nJjBjNFUD+ukp2jwMCGa0k+YD5gU//RzAM+ZY3pbG631QCte7fQjwqWMmtBzhDJL9nKYuOLMv/9IbAxg==
cache=${PERSONA_STUDIO_CACHE:-$HOME/.cache/persona-studio}
mkdir -p "$cache/bin"
made=$(mktemp -d "$cache/.making-XXXXXX")
trap 'rm -rf "$made"' EXIT

client=$cache/livekit-client-$client_version.mjs
if [ ! -s "$client" ]; then
    if ! command -v npm >/dev/null; then
        echo "The watch page needs livekit-client, and npm, which downloads it, is not installed (Debian: apt install npm)." >&2
    elif ! (cd "$made" && npm pack --silent "livekit-client@$client_version" >/dev/null 2>&1); then
        echo "npm could not get livekit-client@$client_version; run deploy/livekit.sh again when the network is available." >&2
    elif [ "$(openssl dgst -sha512 -binary "$made/livekit-client-$client_version.tgz" | base64 -w0)" != "$client_sha512" ]; then
        echo "livekit-client@$client_version is not the package with the expected hash, so it is not used." >&2
    else
        tar -xzf "$made/livekit-client-$client_version.tgz" -C "$made" package/dist/livekit-client.esm.mjs
        mv "$made/package/dist/livekit-client.esm.mjs" "$client"
    fi
fi

if [ "${1:-}" = --library ]; then
    [ -s "$client" ]
    exit
fi
if command -v livekit-server >/dev/null || [ -x "$cache/bin/livekit-server" ]; then
    exit 0
elif command -v go >/dev/null; then
    echo "Building livekit-server $server_version, once; this takes a few minutes." >&2
    GOBIN=$made nice go install "github.com/livekit/livekit-server/cmd/server@$server_version" >"$made/log" 2>&1 || {
        tail -n 3 "$made/log" >&2
        echo "livekit-server could not be built (Go 1.26 is needed); install it from https://docs.livekit.io." >&2
        exit 1
    }
    mv "$made/server" "$cache/bin/livekit-server"
else
    echo "There is no livekit-server and no Go to build it with; install either, or set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET." >&2
    exit 1
fi
