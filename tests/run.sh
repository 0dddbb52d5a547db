#!/usr/bin/env bash
# Every check, in three parts at once: tests of the live program, which wait for a clock most of the time; all other tests,
# which only compute and give way to them; and `make static`, which gives way too. Failures are printed when they happen,
# then each half's slowest tests and the lines that both covered.
# Usage: tests/run.sh PYTHON [pytest argument ...]; with arguments it is plain pytest.
set -uo pipefail
cd "$(dirname "$0")/.."
python=$1
shift
unset PYTHONDONTWRITEBYTECODE  # as containers set it: every process that a test starts would compile all it imports anew
if [ $# -gt 0 ]; then
    exec "$python" -m pytest "$@"
fi

data=$(mktemp -d)
export FAILURES_FILE=$data/failures BUILT_HOME=$data/home
trap 'kill %1 %2 %3 2>/dev/null; rm -rf "$data"' EXIT
exec {live_out}> >(exec sed -u 's/^/live      | /')
live_printer=$!
exec {computing_out}> >(exec sed -u 's/^/computing | /')
computing_printer=$!
exec {static_out}> >(exec sed -u 's/^/static    | /')
static_printer=$!
nice -n 15 make --no-print-directory static >&"$static_out" 2>&1 &
static=$!
# Lines are counted in the tests' own processes: in those they start it costs a third more processor time, and services
# go by the clock.
half=("$python" -m coverage run --data-file)
# Native tracebacks: pytest cannot show its own for some frames that coverage traced (Python 3.11 gives them no line number).
show=(-m pytest -p tests.support.failures_at_once --tb=native --durations=15)
# A shell has what it runs in the background ignore Ctrl-C, and some of these tests send one.
# The half that gives way has three times as long for a test: it may get little of a busy machine.
env --default-signal=INT nice -n 15 "${half[@]}" "$data/.coverage.computing" "${show[@]}" -o timeout=900 \
    -m "not live and not slow" -o cache_dir=.pytest_cache/computing >&"$computing_out" 2>&1 &
computing=$!
env --default-signal=INT "${half[@]}" "$data/.coverage.live" "${show[@]}" -m "live and not slow" >&"$live_out" 2>&1 &
live=$!
wait "$live"
first=$?
wait "$computing"
second=$?
wait "$static"
third=$?
exec {live_out}>&- {computing_out}>&- {static_out}>&-
wait "$live_printer" "$computing_printer" "$static_printer"

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
if [ "$third" -ne 0 ]; then
    printf '\nThe static checks failed: make static\n'
fi
exit $((first ? first : second ? second : third))
