#!/bin/bash
# Serf's handler for member-leave and member-failed: takes them off the list.
while read -r -a values; do
  sed -i "/^${values[0]} /d" "$CHAIN_DIR/members"
done
exec bash "$(dirname "$0")/reload.sh"
