#!/bin/sh
# Third-party clients against the embedded venue: makes a virtual environment with ccxt from PyPI (once) and runs
# ccxt_check.py against the venue.json that is given.
#
#   interlock venue &            # in one shell
#   tools/ccxt_check.sh data/venue.json
#
# The environment is kept in target/ccxt-venv (or in $CCXT_VENV).
set -eu
if [ $# -lt 1 ]; then
    echo "usage: $0 VENUE.JSON" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
venv=${CCXT_VENV:-$here/../target/ccxt-venv}
wanted="ccxt==4.5.90 python-binance==1.0.37"
if [ "$(cat "$venv/.wanted" 2>/dev/null || true)" != "$wanted" ]; then
    python3 -m venv "$venv"
    # shellcheck disable=SC2086 # two words on purpose
    "$venv/bin/pip" install --quiet --disable-pip-version-check $wanted
    echo "$wanted" >"$venv/.wanted"
fi
exec "$venv/bin/python" "$here/ccxt_check.py" "$@"
