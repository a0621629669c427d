#!/bin/sh
# sh scripts/serf-matrix.sh [suite… [-- test…]]        (npm run test:serf -- …)
#
# The mixed rings, and everything else that runs beside a real Serf agent, with the `serf` of other Debian releases: 0.10.1
# of Debian 13 (trixie) unless suites are named; `host` is the one installed here. Tests are the mixed ones, or those named
# after `--`; serf-cli.test.ts is not among them: its recorded outputs are those of 0.9.4. The root of a release is made by
# debian-root.sh. Exit code 0: every suite passed its tests.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "muster: $*" >&2; }

# shellcheck disable=SC2034 # read by debian-root.sh
package=serf program=usr/bin/serf script=test:serf inside_id=$(id -u)
. scripts/debian-root.sh

suites=
while [ $# -gt 0 ]; do
  case $1 in
    --) shift && break ;;
    -*) say "unknown option $1" && exit 2 ;;
    '' | *[!a-z0-9-]*) say "\"$1\" is no Debian release; trixie, sid or host, say" && exit 2 ;;
    *) suites="$suites $1" && shift ;;
  esac
done
[ $# -gt 0 ] || set -- test/*-interop.test.ts test/better-than-serf.test.ts test/engines.test.ts

summary=
path=$PATH
for suite in ${suites:-trixie}; do
  PATH=$path
  version=$(dpkg-query -W -f '${Version}' serf 2>/dev/null || echo unknown)
  if [ "$suite" != host ]; then
    need_root "$suite" || {
      summary="$summary$suite: FAILED, no root with serf
"
      continue
    }
    PATH=$cache/$suite/${wrapper%/*}:$path
    # What it prints for a version is 0.8.2-dev, whatever it is.
    version=$(dpkg-query --admindir="$cache/$suite/var/lib/dpkg" -W -f '${Version}' serf)
  fi
  say "serf $version of $suite: $(command -v serf)"
  result=passed
  sh scripts/alone.sh node_modules/.bin/vitest run "$@" || result=FAILED
  summary="$summary$suite: serf $version: tests $result
"
done
printf '\n%s' "$summary"
case $summary in *FAILED*) exit 1 ;; esac
