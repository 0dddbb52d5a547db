#!/usr/bin/env bash
# Every test, in two halves at once: those of the live program, which wait for a clock most of the time, and all others, which
# only compute and give way to them. Usage: tests/run.sh PYTHON [pytest argument ...]; with arguments it is plain pytest.
set -uo pipefail
cd "$(dirname "$0")/.."
python=$1
shift
unset PYTHONDONTWRITEBYTECODE  # as containers set it: every process that a test starts would compile all it imports anew
if [ $# -gt 0 ] && [[ "$*" != --durations=* ]]; then
    exec "$python" -m pytest "$@"
fi

live=(tests/system tests/services/gateway)
computing=$(mktemp)
trap 'kill %1 2>/dev/null; rm -f "$computing"' EXIT
# A shell has what it runs in the background ignore Ctrl-C, and some of these tests send one.
env --default-signal=INT nice -n 15 "$python" -m pytest "${live[@]/#/--ignore=}" -o cache_dir=.pytest_cache/computing "$@" >"$computing" 2>&1 &
"$python" -m pytest "${live[@]}" "$@"
first=$?
wait %1
second=$?
cat "$computing"
exit $((first ? first : second))
