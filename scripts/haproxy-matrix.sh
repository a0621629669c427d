#!/bin/sh
# sh scripts/haproxy-matrix.sh [--template slots|named] [suite…]        (npm run test:haproxy -- …)
#
# The balancer's tests and the demo's act table on the HAProxy of other Debian releases: 3.0 of Debian 13 (trixie) and 3.2
# of unstable (sid) unless suites are named; `host` is the one installed here. Each comes in a root of its own, made by
# debootstrap and kept in node_modules/.cache/haproxy; to have the newest of sid, remove it there. Once it is made, nothing
# in it is run but HAProxy, on the libraries there: files, addresses and processes are the host's. Needs to be root
# while a root is missing. Exit code 0: every suite passed its tests, with lost = 0 and doubled = 0.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "muster: $*" >&2; }

# All of it in a process and mount namespace whose end is the end of everything in it, as in alone.sh; the network is the
# host's, for debootstrap. Tests and demo get a network of their own from alone.sh.
if [ "${MUSTER_MATRIX_INSIDE:-}" = '' ]; then
  MUSTER_MATRIX_INSIDE=$(id -u)
  export MUSTER_MATRIX_INSIDE
  inside='-p -f -m --kill-child=KILL --mount-proc'
  [ "$MUSTER_MATRIX_INSIDE" = 0 ] || inside="-U -r $inside"
  # shellcheck disable=SC2086 # several words
  if unshare $inside true 2>/dev/null; then
    # The outer shell of the namespace stays, as its first process: it reaps what its descendants leave.
    exec unshare $inside sh -c 'sh scripts/haproxy-matrix.sh "$@"; exit $?' matrix "$@"
  fi
  say 'no namespaces here; if this is killed, processes of it may stay'
fi

package=haproxy program=usr/sbin/haproxy script=test:haproxy inside_id=$MUSTER_MATRIX_INSIDE
. scripts/debian-root.sh
template=slots
exec 3>&1 # where output goes that is also looked at
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- what is run on it -----------------------------------------------------------------------------------------------

copy_to_3() {
  while IFS= read -r line; do
    printf '%s\n' "$line" >&3
    printf '%s\n' "$line"
  done
}

# The last row of the act table in words.
say_total() {
  printf '%s\n' "$1" | awk '$1 == "total" { print $3 " requests, lost " $4 ", doubled " $5 ", unknown " $6 }'
}

# Tests and act table with the haproxy that is first in PATH. Adds a line to $summary.
examine() {
  version=$(haproxy -v | sed -n 's/^HA-*Proxy version \([^ ]*\).*/\1/p')
  haproxy -v | head -n 1
  tests=passed
  sh scripts/alone.sh node_modules/.bin/vitest run src/balancer || tests=FAILED
  output=$(sh scripts/alone.sh node bin/muster demo --check --template "$template" 2>&1 | copy_to_3)
  counts=$(say_total "$output")
  acts=FAILED
  case $output in *'
passed: '*) case $counts in *' lost 0, doubled 0, '*) acts=passed ;; esac ;; esac
  # That the demo found this very HAProxy, and not the one of the system.
  case $output in *", HAProxy $version
"*) ;; *) acts="FAILED, it did not run on $version" ;; esac
  summary="$summary$1: HAProxy $version: tests $tests; acts of $template $acts${counts:+: $counts}
"
}

while [ $# -gt 0 ]; do
  case $1 in
    --template) template=${2:?--template wants a name} && shift 2 ;;
    -*) say "unknown option $1" && exit 2 ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] || set -- trixie sid
for suite; do
  case $suite in '' | *[!a-z0-9-]*) say "\"$suite\" is no Debian release; trixie, sid or host, say" && exit 2 ;; esac
done

summary=
path=$PATH
for suite; do
  PATH=$path
  if [ "$suite" != host ]; then
    need_root "$suite" || {
      summary="$summary$suite: FAILED, no root with HAProxy
"
      continue
    }
    PATH=$cache/$suite/${wrapper%/*}:$path
  fi
  examine "$suite"
done
printf '\n%s' "$summary"
case $summary in *FAILED*) exit 1 ;; esac
