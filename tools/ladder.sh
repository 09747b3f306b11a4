#!/usr/bin/env bash
# Walks the ladder on the embedded venue, bottom to top: shadow, paper, testnet, and live within the bounds of phase 1. Each rung is a
# real session of the real binary, in one data directory, and is checked by what the venue counted and what the journal says; the next
# rung begins only when it holds. Costs about two minutes and nothing else.
#
#   tools/ladder.sh            # builds the debug binary, or set INTERLOCK=path/to/interlock
#   KEEP=1 tools/ladder.sh     # leaves its directory behind
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -z "${INTERLOCK:-}" ]; then
    # As `cargo test` builds it, with the development dependencies' features (see .ci/run): after the tests nothing is left to do.
    cargo build --quiet --locked --bins --examples
    INTERLOCK=$(realpath "${CARGO_TARGET_DIR:-target}")/debug/interlock
fi
unset LIVE_TRADING LIVE_KILL_SWITCH LIVE_CONFIRM_TOKEN LIVE_SYMBOL_ALLOWLIST INTERLOCK_API_KEY_FILE
WORK=$(mktemp -d)
DATA=$WORK/data
children=()

finish() {
    for pid in "${children[@]}"; do kill -INT "$pid" 2>/dev/null || true; done
    for pid in "${children[@]}"; do wait "$pid" 2>/dev/null || true; done
    if [ -n "${KEEP:-}" ]; then echo "left in $WORK"; else rm -rf "$WORK"; fi
}
trap finish EXIT

step() { printf '\n=== %s (%ss)\n' "$*" "$SECONDS"; }
fail() {
    echo "ladder: $*" >&2
    [ -f "$WORK/engine.log" ] && tail -n 20 "$WORK/engine.log" >&2
    [ -f "$DATA/events.jsonl" ] && grep -v SHADOW_ORDER "$DATA/events.jsonl" | tail -n 20 >&2
    exit 1
}

# A command that must end with this exit code.
expect() {
    local wanted=$1 code=0
    shift
    "$@" >"$WORK/out" 2>&1 || code=$?
    [ "$code" -eq "$wanted" ] || { cat "$WORK/out" >&2; fail "exit $code instead of $wanted: $*"; }
}

# Until a command succeeds.
until_ok() {
    for _ in $(seq 300); do
        if "$@" >"$WORK/out" 2>&1; then return 0; fi
        sleep 0.2
    done
    cat "$WORK/out" >&2
    fail "never succeeded: $*"
}

# What the venue of a persona has counted.
counted() {
    python3 - "$WORK/venue-$1/venue.json" "$2" <<'PY'
import json, ssl, sys, urllib.request
venue = json.load(open(sys.argv[1]))
request = urllib.request.Request(venue["control"]["url"] + "/stats", headers={"X-Control-Token": venue["control"]["token"]})
stats = json.load(urllib.request.urlopen(request, context=ssl.create_default_context(cafile=venue["ca"])))
print(sum(stats[key] for key in sys.argv[2].split("+")))
PY
}
open_orders() {
    python3 - "$WORK/venue-$1/venue.json" <<'PY'
import json, ssl, sys, urllib.request
venue = json.load(open(sys.argv[1]))
request = urllib.request.Request(venue["control"]["url"] + "/stats", headers={"X-Control-Token": venue["control"]["token"]})
stats = json.load(urllib.request.urlopen(request, context=ssl.create_default_context(cafile=venue["ca"])))
print(sum(stats["open_orders"].values()))
PY
}
is_counted() { [ "$(counted "$1" "$2")" -gt 0 ]; }
nothing_sent() {
    local sent
    sent=$(counted "$1" orders_accepted+orders_rejected+cancels)
    [ "$sent" -eq 0 ] || fail "the venue playing $1 counted $sent requests that $2 must not send"
}

venue() { # PERSONA
    "$INTERLOCK" venue --persona "$1" --data-dir "$WORK/venue-$1" >"$WORK/venue-$1.log" 2>&1 &
    children+=($!)
    until_ok test -s "$WORK/venue-$1/venue.json"
}

# A session that ends when its condition holds; then its journal is verified and replayed.
engine() { "$INTERLOCK" run --plain --data-dir "$DATA" -c config/profiles/rehearsal.toml "$@" >>"$WORK/engine.log" 2>&1 & ENGINE=$!; children+=("$ENGINE"); }
ends() {
    kill -INT "$ENGINE" 2>/dev/null || true
    local code=0
    wait "$ENGINE" || code=$?
    [ "$code" -eq "${1:-0}" ] || fail "the engine ended with exit code $code"
    expect 0 "$INTERLOCK" journal verify --data-dir "$DATA"
    expect 0 "$INTERLOCK" journal replay --data-dir "$DATA"
    sed -n '1p' "$WORK/out"
}
armed() { "$INTERLOCK" kill status --data-dir "$DATA" 2>&1 | grep -q "ARMED, trading"; }
event() { grep -q "\"event\":\"$1\"" "$DATA/events.jsonl"; }
paper_fills() { "$INTERLOCK" status -o json --data-dir "$DATA" | python3 -c 'import json,sys; sys.exit(json.load(sys.stdin)["view"]["totals"]["fills"] == 0)'; }
withheld() { "$INTERLOCK" journal cat --session last -o json --data-dir "$DATA" | grep -q "$1"; }
file_says() { grep -q "$2" "$1"; }

step "the embedded venue as test network and as the live venue, each at its own address with its own keys"
venue testnet
venue live
LIVE=$WORK/venue-live/venue.json
TESTNET=$WORK/venue-testnet/venue.json

step "what must be refused is refused"
expect 3 "$INTERLOCK" run --plain --mode demo --venue "$LIVE" --data-dir "$WORK/other"
expect 3 "$INTERLOCK" run --plain --mode testnet --venue "$LIVE" --data-dir "$WORK/other"
expect 3 "$INTERLOCK" run --plain --mode live --venue "$LIVE" --data-dir "$WORK/other"
expect 3 env LIVE_TRADING=YES_I_UNDERSTAND "$INTERLOCK" run --plain --mode shadow --venue "$LIVE" --data-dir "$WORK/other"
nothing_sent live "a refused start"

step "shadow: the live venue's market, and no gateway"
engine --mode shadow --venue "$LIVE"
until_ok event SHADOW_SAFETY_OK
until_ok event SHADOW_ORDER
until_ok file_says "$DATA/rl/shadow_decisions.jsonl" '"outcome":"\(marked\|unfilled\)"'
ends
nothing_sent live shadow
[ "$(counted live api_requests)" -eq 0 ] || fail "shadow spoke to the order session"

step "paper: the live venue's market, fills from the model"
engine --mode paper --venue "$LIVE"
until_ok paper_fills
ends
nothing_sent live paper

step "testnet: a test network at both ends, with the testnet's bounds"
testnet=(-c config/testnet.toml)
[ -f config/bounded_live_testnet.toml ] && testnet+=(-c config/bounded_live_testnet.toml)
engine "${testnet[@]}" -c config/profiles/rehearsal.toml --venue "$TESTNET"
until_ok is_counted testnet orders_accepted
until_ok is_counted testnet fills
expect 0 "$INTERLOCK" kill trip --reason drill --triggered-by ladder --data-dir "$DATA"
expect 0 "$INTERLOCK" kill recover --cause "drill over" --by ladder --data-dir "$DATA"
ends
nothing_sent live testnet

step "paper once more, so that its fills can be compared; the daily report; every drill three times"
engine --mode paper --venue "$LIVE"
until_ok paper_fills
ends
expect 0 "$INTERLOCK" shadow health --data-dir "$DATA"
expect 0 "$INTERLOCK" kill drill -n 3 --data-dir "$DATA"

step "the configuration of live, with the keys of five people"
signer() { printf '[gates.%s]\nname = "%s"\nkey = "%s"\n' "$1" "$2" "$("$INTERLOCK" live key --out "$WORK/$2.key" 2>/dev/null)"; }
{
    signer proposer petra
    signer signers.risk rita
    signer signers.security sven
    signer signers.operations omar
    signer signers.system_owner yuki
} >"$WORK/people.toml"
# What cannot be had in two minutes: weeks of paper. Everything else is as it will be.
cat >"$WORK/rehearsal.toml" <<'TOML'
[venue]
symbols = ["BTCUSDT"]

[readiness]
listen = ""
paper_streak_days_min = 1
paper_weeks_min = 1
paper_day_minutes_min = 0
turnover_block_percent_min = 0
turnover_block_percent_max = 100
execution_sessions = 1
execution_drift_centi_bp_max = 100000
TOML
sed -e 's/^enable_live_trading = false/enable_live_trading = true/' -e 's/^live_mode_armed = false/live_mode_armed = true/' \
    -e 's/^live_dry_run_mode = true/live_dry_run_mode = false/' config/live_environment.toml >"$WORK/environment.toml"
CONFIG=(-c config/live.toml -c config/bounded_live.toml -c "$WORK/environment.toml" -c "$WORK/venue-live/venue.toml"
    -c "$WORK/people.toml" -c config/profiles/rehearsal.toml -c "$WORK/rehearsal.toml")
HASH=$("$INTERLOCK" config hash "${CONFIG[@]}")
echo "hash $HASH"

step "dry run of live: logged on, signed, and stopped before the write"
engine "${CONFIG[@]}" --dry-run
until_ok withheld DRY_RUN
ends
nothing_sent live "a dry run"
[ "$(counted live api_requests)" -gt 0 ] || fail "the dry run asked the venue nothing"

step "live is refused while a gate is closed"
expect 3 "$INTERLOCK" live gates "${CONFIG[@]}" --live-confirm "$HASH" --data-dir "$DATA"
expect 3 "$INTERLOCK" run --plain "${CONFIG[@]}" --live-confirm "$HASH" --data-dir "$WORK/other"
nothing_sent live "a refused start"

step "record, four sign-offs, token, typed confirmation"
live() { expect 0 "$INTERLOCK" live "$@" --data-dir "$DATA"; }
live transition "${CONFIG[@]}" --by petra --commit "$(git rev-parse HEAD 2>/dev/null || printf '%040d' 0)"
live signoff "${CONFIG[@]}" --role risk --key "$WORK/rita.key" --hash "$HASH"
live signoff "${CONFIG[@]}" --role security --key "$WORK/sven.key" --hash "$HASH"
live signoff "${CONFIG[@]}" --role operations --key "$WORK/omar.key" --hash "$HASH"
live signoff "${CONFIG[@]}" --role system_owner --key "$WORK/yuki.key" --hash "$HASH"
LIVE_CONFIRM_TOKEN=$("$INTERLOCK" live token --by petra --data-dir "$DATA" 2>/dev/null)
export LIVE_CONFIRM_TOKEN LIVE_TRADING=YES_I_UNDERSTAND
live arm "${CONFIG[@]}" --live-confirm "$HASH" --key "$WORK/petra.key" <<<'I UNDERSTAND'
live gates "${CONFIG[@]}" --live-confirm "$HASH"

step "bounded live, phase 1, at the venue that plays the live one"
engine "${CONFIG[@]}" --live-confirm "$HASH"
until_ok is_counted live orders_accepted
until_ok is_counted live fills
expect 0 "$INTERLOCK" kill trip --reason drill --triggered-by ladder --data-dir "$DATA"
ends
[ "$(open_orders live)" -eq 0 ] || fail "orders are open at the live venue"

step "token and arming were good for one start"
expect 3 "$INTERLOCK" run --plain "${CONFIG[@]}" --live-confirm "$HASH" --data-dir "$DATA"

step "the ladder holds"
