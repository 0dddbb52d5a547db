#!/usr/bin/env bash
# Runs every check, in parts. The tests of the live program, which depend on the clock, run at normal priority. Beside them the
# other parts run two at a time at a lower priority: `make static`, and the tests of the farm, of each engine, and all others.
# Two, because the live tests wait for half of their time. When they have ended, a third part runs beside the two, until none
# is left. Failures are printed when they happen, and after each part its slowest tests.
# Usage: tests/run.sh PYTHON [pytest argument ...]; with arguments it runs plain pytest. COVERAGE=1 also prints the share of
# lines covered, which costs a fifth more processor time (`make coverage`).
set -uo pipefail
cd "$(dirname "$0")/.."
python=$1
shift
unset PYTHONDONTWRITEBYTECODE  # containers set it; every process that a test starts would then compile all that it imports
if [ $# -gt 0 ]; then
    exec "$python" -m pytest "$@"
fi

data=$(mktemp -d)
export FAILURES_FILE=$data/failures BUILT_HOME=$data/home
set -m  # every part is a process group, which ends with this script
trap 'for each in $(jobs -p); do kill -- "-$each" 2>/dev/null; done; rm -rf "$data"' EXIT
trap 'exit 130' INT TERM

# part NAME COMMAND ...: run a part; print its output with NAME before each line, and write its exit status to a file.
part() {
    local name=$1
    shift
    env --default-signal=INT "$@" 2>&1 | sed -u "s/^/$(printf '%-12s' "$name") | /"
    echo "${PIPESTATUS[0]}" >"$data/$name.status"
}

# tests NAME [pytest argument ...]: run a part of the tests. Coverage is measured in the tests' own processes only: in those that
# they start it costs a third more processor time, and services depend on the clock. Tracebacks are Python's: pytest cannot show
# its own for some frames that coverage traced (Python 3.11 gives them no line number).
tests() {
    local name=$1 counted=()
    shift
    [ -z "${COVERAGE:-}" ] || counted=(-m coverage run --data-file "$data/.coverage.$name")
    part "$name" "$python" "${counted[@]}" -m pytest -p tests.support.failures_at_once \
        --tb=native --durations=15 -o "cache_dir=.pytest_cache/$name" "$@"
}

# Each engine's tests are a separate part: collecting them takes seconds, which the other parts then do not spend.
mapfile -t engines < <(cd tests && du -s -- engines/*/ | sort -rn | cut -f2 | sed 's,/$,,' | grep -v __pycache__)
# For the live tests only their own folders are collected, which takes 3 s of processor time instead of 12.
mapfile -t live < <("$python" -c 'from tests.support.kinds import LIVE; print(*LIVE, sep="\n")')
parts=(computing farm "${engines[@]}" static)  # the longest first, so that all lanes end at about the same time
others=("${engines[@]/#/--ignore=tests/}")

# give_way: run the remaining parts one by one, at a lower priority.
give_way() {
    renice -n 15 $BASHPID >/dev/null
    local name
    while name=$(flock "$data/lock" sed -i -e '1{w /dev/stdout' -e 'd}' "$data/left"); [ -n "$name" ]; do
        case $name in
            static) part static make --no-print-directory static ;;
            computing) tests computing -m "not live and not slow" --ignore=tests/farm "${others[@]}" ;;
            *) tests "${name##*/}" -m "not slow" "tests/$name" ;;
        esac
    done
}

printf '%s\n' "${parts[@]}" >"$data/left"
(give_way) &
(give_way) &
(tests live -m "live and not slow" "${live[@]/#/tests/}"; give_way) &
wait

export COVERAGE_FILE=$data/.coverage
if [ -n "${COVERAGE:-}" ] && "$python" -m coverage combine -q "$data"; then
    for room in persona_studio cli benchmarks harness services training engines compositing publishing shared; do
        printf '%-12s %3s %% of lines covered\n' "$room" "$("$python" -m coverage report --format=total --include="$room/*")"
    done
    printf '%-12s %3s %%\n' all "$("$python" -m coverage report --format=total)"
fi
if [ -s "$FAILURES_FILE" ]; then
    printf '\nLast lines of the failed tests; the full output is above:\n'
    cat "$FAILURES_FILE"
fi
worst=0
for name in live "${parts[@]##*/}"; do
    status=$(cat "$data/$name.status" 2>/dev/null || echo 2)
    [ "$status" = 0 ] || { echo "The part \`$name\` failed (exit status $status)."; worst=$status; }
done
exit "$worst"
