#!/bin/bash
# measure.sh: CPU time of the socket plane for each query, variants by turns.
#
#   measure.sh ROUNDS SECONDS "DNSPERF OPTIONS" "VARIANT OPTIONS"...
#   measure.sh 3 2 "-c 50 -q 100 -Q 100000" "-gather -1ns -plain" "-gather -1ns" ""
#
# The server runs on CPU 1, dnsperf on CPU 0. CPU time is the sum of the threads'
# run time in /proc/PID/task/*/schedstat, ns. Figures of different runs don't
# compare: only those of one run do.
set -euo pipefail
rounds=$1 seconds=$2 load=$3; shift 3
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$(dirname "$0")"; go build -o "$work/trivial" .
for i in $(seq 5000); do echo "host-$((i * 7919 % 100000)).prd.example.com A"; done >"$work/names"
spent() { cat /proc/"$1"/task/*/schedstat | awk '{ ns += $1 } END { printf "%d", ns }'; }
for _ in $(seq "$rounds"); do
  for variant in "$@"; do
    # shellcheck disable=SC2086 # options are words
    taskset -c 1 "$work/trivial" $variant >"$work/port" 2>/dev/null & server=$!
    until [ -s "$work/port" ]; do sleep 0.05; done
    before=$(spent $server)
    # shellcheck disable=SC2086
    taskset -c 0 dnsperf -s 127.0.0.1 -p "$(cat "$work/port")" -d "$work/names" -l "$seconds" $load >"$work/out"
    after=$(spent $server)
    kill $server; wait $server 2>/dev/null || true
    rm "$work/port"
    awk -v ns=$((after - before)) -v variant="$variant" '
      /Queries completed/ { n = $3 } /Queries per second/ { qps = $4 } /Average Latency/ { lat = $4 }
      END { printf "%-28s %.2f µs a query  %7d q/s  %4d µs latency\n", "[" variant "]", ns / n / 1000, qps, lat * 1e6 }' "$work/out"
  done
done
