#!/bin/bash
# Serf's handler for member-join: adds the backends to the list of members.
while read -r -a values; do
  if [ "${values[2]}" = backend ]; then
    echo "${values[0]} ${values[1]}" >>"$CHAIN_DIR/members"
  fi
done
exec bash "$(dirname "$0")/reload.sh"
