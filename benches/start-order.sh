#!/usr/bin/env bash
# Writes benches/start-order.txt: the functions that a checker runs until it is ready and while it checks. build.rs has them
# linked side by side. Called by `./bench --start-order`, which installs what this needs; takes as long as a release build.
#
# Names are without the hash that the compiler puts behind them, so the list holds for other versions of compiler and crates
# too, as far as these have the same functions. It needs renewing where `./bench memory` shows an idle checker that has grown.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."

# The release build with its symbols: callgrind is to know the functions by name.
cargo rustc --locked --release --bin doorward -- -C strip=none
doorward=$PWD/target/release/doorward

folder=$(mktemp -d)
started=()
trap 'kill "${started[@]}" 2>/dev/null; wait; rm -rf "$folder"' EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
redis=$(free_port) public=$(free_port) check=$(free_port) ops=$(free_port) issuers_ops=$(free_port)
cd "$folder"

cat >issuer.yaml <<END
listen: {public: "127.0.0.1:$public", ops: "127.0.0.1:$issuers_ops"}
state: {url: "redis://127.0.0.1:$redis"}
END
cat >checker.yaml <<END
listen: {check: "127.0.0.1:$check", ops: "127.0.0.1:$ops"}
state: {url: "redis://127.0.0.1:$redis"}
check: {jwks: "http://127.0.0.1:$public/.well-known/jwks.json"}
END

until_ready() {
    for _ in {1..600}; do
        curl --silent --fail --output /dev/null "$1" && return
        sleep 0.2
    done
    echo "not ready: $1" >&2
    cat ./*.log >&2
    exit 1
}

redis-server --port "$redis" --save "" >redis.log 2>&1 &
started+=($!)
"$doorward" serve --dev --role issuer -c issuer.yaml >issuer.log 2>&1 &
started+=($!)
until_ready "http://127.0.0.1:$issuers_ops/readyz"
valgrind --quiet --tool=callgrind --demangle=no --callgrind-out-file=calls \
    "$doorward" serve --role check -c checker.yaml >checker.log 2>&1 &
checker=$!
started+=("$checker")
until_ready "http://127.0.0.1:$ops/readyz"

token=$(curl --silent --fail --json '{"user_id": 1}' "http://127.0.0.1:$public/login" | jq --raw-output .access)
for _ in 1 2 3; do
    curl --silent --fail --oauth2-bearer "$token" --header "X-Original-Method: GET" --header "X-Original-URI: /" \
        "http://127.0.0.1:$check/check/nginx"
done
# Long enough for what is done every few seconds.
sleep 10
kill "$checker"
wait "$checker" || true

{
    echo "# Functions that a checker runs at its start and in a check. Written by ./bench --start-order; build.rs reads it."
    comm -12 \
        <(sed -nE "s/^c?fn=\([0-9]+\) ([^' ]+).*/\1/p" calls | sort -u) \
        <(nm --defined-only "$doorward" | awk '{ print $NF }' | sort -u) |
        sed -E 's/17h[0-9a-f]{16}E(\.llvm\.[0-9]+)?$/17h/; s/\.llvm\.[0-9]+$//' | sort -u
} >"$OLDPWD/benches/start-order.txt"
wc --lines "$OLDPWD/benches/start-order.txt"
