#!/bin/sh
# sh scripts/alone.sh command…
#
# Runs a command so that nothing of it outlives it, also when it is killed in the middle: in a process namespace whose end
# is the end of everything in it, with a TMPDIR that exists only there (a tmpfs in a private mount namespace), and with a
# loopback of its own, whose ports nobody else has taken. Needs root, or user namespaces; without them the command runs as
# it is, and says so.
set -u

alone='-p -f -m -n --kill-child=KILL --mount-proc'
[ "$(id -u)" = 0 ] || alone="-U -r $alone"

# A directory of the system to lay the tmpfs over: not one that the checkout or the command's own files are in.
shade=
for directory in /mnt /media /srv; do
  case $PWD/ in "$directory"/*) continue ;; esac
  [ -d "$directory" ] && shade=$directory && break
done

# shellcheck disable=SC2086 # $alone is several words
if [ -n "$shade" ] && unshare $alone sh -c 'mount -t tmpfs tmpfs "$0" && ip link set lo up' "$shade" 2>/dev/null; then
  # The shell stays, as the first process of the namespace: it reaps what its descendants leave, which node does not.
  exec unshare $alone sh -c 'mount -t tmpfs tmpfs "$0" && ip link set lo up && TMPDIR=$0 "$@"; exit $?' "$shade" "$@"
fi
printf '%s\n' 'muster: no namespaces here; if this is killed, processes of it may stay' >&2
exec "$@"
