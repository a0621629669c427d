#!/bin/bash
# Renders the configuration and starts a new HAProxy in place of the old one.
cd "$(dirname "$0")" || exit 1
printf . >>"$CHAIN_DIR/reloads" # for the benchmark to count
node render.mjs haproxy.cfg.hbs "$CHAIN_DIR/members" >"$CHAIN_DIR/haproxy.cfg" || exit 1
exec haproxy -D -f "$CHAIN_DIR/haproxy.cfg" -p "$CHAIN_DIR/haproxy.pid" -sf $(cat "$CHAIN_DIR/haproxy.pid" 2>/dev/null)
