#!/bin/sh
# Third-party clients against the embedded venue: makes a virtual environment with ccxt and python-binance from PyPI (once)
# and runs ccxt_check.py against the venue of the venue.json that is given, or against one that it starts itself.
#
#   tools/ccxt_check.sh                    # builds and starts `interlock venue`, checks it, stops it
#   tools/ccxt_check.sh data/venue.json    # checks a venue that runs
#
# The environment is kept in target/ccxt-venv (or in $CCXT_VENV).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/..
venv=${CCXT_VENV:-$root/target/ccxt-venv}
wanted="ccxt==4.5.90 python-binance==1.0.37"
if [ "$(cat "$venv/.wanted" 2>/dev/null || true)" != "$wanted" ]; then
    python3 -m venv "$venv"
    # shellcheck disable=SC2086 # two words on purpose
    "$venv/bin/pip" install --quiet --disable-pip-version-check $wanted
    echo "$wanted" >"$venv/.wanted"
fi

if [ $# -ge 1 ]; then
    exec "$venv/bin/python" "$here/ccxt_check.py" "$1"
fi

binary=${INTERLOCK:-}
if [ -z "$binary" ]; then
    (cd "$root" && cargo build --quiet --locked --bins --examples) # as cargo test builds it: see .ci/run
    binary=${CARGO_TARGET_DIR:-$root/target}/debug/interlock
fi
data=$(mktemp -d)
"$binary" venue --data-dir "$data" >"$data/venue.log" 2>&1 &
venue=$!
trap 'kill "$venue" 2>/dev/null || true; wait "$venue" 2>/dev/null || true; rm -rf "$data"' EXIT INT TERM
waited=0
until grep -q '^venue.json' "$data/venue.log"; do
    if [ $waited -ge 150 ] || ! kill -0 "$venue" 2>/dev/null; then
        echo "the venue did not start:" >&2
        cat "$data/venue.log" >&2
        exit 1
    fi
    waited=$((waited + 1))
    sleep 0.2
done
"$venv/bin/python" "$here/ccxt_check.py" "$data/venue.json"
