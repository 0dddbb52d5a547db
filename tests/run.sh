#!/usr/bin/env bash
# Every test, in three groups at once: those of the live program, which go by the clock, and two that give way to them: those
# of jobs, API and console, which wait for answers, and all others, which compute.
# Usage: tests/run.sh PYTHON [pytest argument ...]; with arguments it is plain pytest.
set -uo pipefail
cd "$(dirname "$0")/.."
python=$1
shift
unset PYTHONDONTWRITEBYTECODE  # as containers set it: every process that a test starts would compile all it imports anew
if [ $# -gt 0 ] && [[ "$*" != --durations=* ]]; then
    exec "$python" -m pytest "$@"
fi

live=(tests/live tests/gateway)
asking=(tests/farm tests/test_jobs_cli.py tests/gateway/test_{jobs_*,api,console,contrast,engine_console}.py)
output=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; rm -rf "$output"' EXIT

beside() {  # NAME [pytest argument ...]
    local name=$1
    shift
    # A shell has what it runs in the background ignore Ctrl-C, and some of these tests send one.
    exec env --default-signal=INT nice -n 15 "$python" -m pytest -o "cache_dir=.pytest_cache/$name" "$@" >"$output/$name" 2>&1
}

beside asking "${asking[@]}" "$@" &
pids+=($!)
beside computing "${live[@]/#/--ignore=}" "${asking[@]/#/--ignore=}" "$@" &
pids+=($!)
"$python" -m pytest "${live[@]}" "${asking[@]/#/--ignore=}" "$@"
failed=$?
for pid in "${pids[@]}"; do
    wait "$pid" || failed=$?
done
cat "$output"/*
exit $failed
