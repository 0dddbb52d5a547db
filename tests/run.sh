#!/usr/bin/env bash
# Every check, in parts: tests of the live program, which wait for a clock most of the time; beside them all other tests but
# the engines' and `make static`, which only compute and give way to them; and the engines' tests when the live ones are through
# and a core is free. Failures are printed when they happen, then each part's slowest tests and the lines that all covered.
# Usage: tests/run.sh PYTHON [pytest argument ...]; with arguments it is plain pytest.
set -uo pipefail
cd "$(dirname "$0")/.."
python=$1
shift
unset PYTHONDONTWRITEBYTECODE  # as containers set it: every process that a test starts would compile all it imports
if [ $# -gt 0 ]; then
    exec "$python" -m pytest "$@"
fi

data=$(mktemp -d)
export FAILURES_FILE=$data/failures BUILT_HOME=$data/home
set -m  # every part is a process group, which ends with this script
trap 'for each in $(jobs -p); do kill -- "-$each" 2>/dev/null; done; rm -rf "$data"' EXIT
trap 'exit 130' INT TERM

# part NAME COMMAND ...: each line of its output with its name, its exit status in a file.
part() {
    local name=$1
    shift
    env --default-signal=INT "$@" 2>&1 | sed -u "s/^/$(printf '%-9s' "$name") | /"
    echo "${PIPESTATUS[0]}" >"$data/$name.status"
}

# tests NAME [pytest argument ...]: a part of the tests. Lines are counted in the tests' own processes: in those they start it
# costs a third more processor time, and services go by the clock. Native tracebacks: pytest cannot show its own for some frames
# that coverage traced (Python 3.11 gives them no line number).
tests() {
    local name=$1
    shift
    part "$name" "$python" -m coverage run --data-file "$data/.coverage.$name" -m pytest -p tests.support.failures_at_once \
        --tb=native --durations=15 -o "cache_dir=.pytest_cache/$name" "$@"
}

# What gives way has three times as long for a test: it may get little of a busy machine.
gives_way=(-m "not live and not slow" -o timeout=900)
(renice -n 15 $BASHPID >/dev/null; part static make --no-print-directory static) &
(renice -n 15 $BASHPID >/dev/null; tests computing "${gives_way[@]}" --ignore=tests/engines) &
(tests live -m "live and not slow"; renice -n 15 $BASHPID >/dev/null; tests engines "${gives_way[@]}" tests/engines) &
wait

export COVERAGE_FILE=$data/.coverage
if "$python" -m coverage combine -q "$data"; then
    for room in persona_studio cli benchmarks harness services training engines compositing publishing shared; do
        printf '%-12s %3s %% of lines covered\n' "$room" "$("$python" -m coverage report --format=total --include="$room/*")"
    done
    printf '%-12s %3s %%\n' all "$("$python" -m coverage report --format=total)"
fi
if [ -s "$FAILURES_FILE" ]; then
    printf '\nHow the failed tests ended; above is the whole of it:\n'
    cat "$FAILURES_FILE"
fi
worst=0
for name in live computing engines static; do
    status=$(cat "$data/$name.status" 2>/dev/null || echo 2)
    [ "$status" = 0 ] || { echo "The part \`$name\` failed (exit status $status)."; worst=$status; }
done
exit "$worst"
