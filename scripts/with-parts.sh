#!/bin/sh
# sh scripts/with-parts.sh demo|test|haproxy-matrix|serf-matrix -- command…
#
# Runs a command with everything it needs, so that `npm run demo` and `npm test` work as the first command in a fresh
# clone: node modules from the lock file, the build, and the system packages that packages.txt lists for it. On Debian
# and Ubuntu, as root, missing packages are installed, without starting any service; elsewhere it says what to install.
# With CI=true a missing part is a failure.
set -eu

use=${1:?usage: with-parts.sh demo|test|haproxy-matrix|serf-matrix -- command…}
shift
[ "${1:-}" != -- ] || shift
cd "$(dirname "$0")/.."

PATH=$PATH:/usr/sbin:/sbin # where Debian keeps haproxy and ip, and where a user's PATH does not look
export PATH
policy=/usr/sbin/policy-rc.d
policy_mark='# put here by muster: no service starts while its packages are installed'
log=
apt=

say() { printf '%s\n' "muster: $*" >&2; }

# --- node ----------------------------------------------------------------------------------------------------------

need_node() {
  command -v node >/dev/null || { say "needs Node 20.19 or newer, which is not in PATH"; exit 1; }
  node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' || {
    say "needs Node 20.19 or newer; this is $(node --version)"
    exit 1
  }
}

need_modules() {
  stamp=node_modules/.muster-lock
  lock=$(cksum <package-lock.json)
  if [ -f $stamp ] && [ "$(cat $stamp)" = "$lock" ]; then return; fi
  # Installed by hand, and later than the lock file: take it as it is.
  if [ ! -f $stamp ] && [ -n "$(find node_modules/.package-lock.json -newer package-lock.json 2>/dev/null)" ]; then
    printf '%s\n' "$lock" >$stamp
    return
  fi
  say 'installing node modules from the lock file'
  npm ci --include=dev --no-audit --no-fund --loglevel=error >&2
  printf '%s\n' "$lock" >$stamp
}

need_build() {
  if [ -f dist/webapp.js ] &&
    [ -z "$(find src examples scripts/build.mjs package-lock.json -newer dist/webapp.js | head -n 1)" ]; then return; fi
  say 'building'
  node scripts/build.mjs >&2
}

# --- system packages -------------------------------------------------------------------------------------------------

# Names of the packages for $use whose command is not there.
missing_packages() {
  while read -r package command uses _; do
    case $package in '' | '#'*) continue ;; esac
    case ,$uses, in *,"$use",*) command -v "$command" >/dev/null || printf '%s ' "$package" ;; esac
  done <scripts/packages.txt
}

debian() { command -v apt-get >/dev/null && [ -r /etc/debian_version ]; }

put_policy() {
  if [ -e $policy ]; then mv $policy $policy.kept-by-muster; fi
  printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >$policy
  chmod 755 $policy
}

# Puts things back as they were; nothing happens when they are.
restore_policy() {
  if grep -qsF "$policy_mark" $policy; then rm -f $policy; fi
  if [ -e $policy.kept-by-muster ]; then mv $policy.kept-by-muster $policy; fi
}

# Outlives a kill -9 of this script, and waits for the end of what may be using the policy.
watch_policy() {
  export policy policy_mark
  # shellcheck disable=SC2016
  setsid sh -c '
    while kill -0 "$1" 2>/dev/null || pgrep -x "apt-get|dpkg" >/dev/null 2>&1; do sleep 0.3; done
    if grep -qsF "$policy_mark" "$policy"; then rm -f "$policy"; fi
    if [ -e "$policy.kept-by-muster" ]; then mv "$policy.kept-by-muster" "$policy"; fi
  ' watch "$$" >/dev/null 2>&1 </dev/null &
}

clean_up() {
  if [ -n "$apt" ]; then
    kill "$apt" 2>/dev/null || :
    wait "$apt" 2>/dev/null || :
    apt=
  fi
  restore_policy
  [ -z "$log" ] || rm -f "$log"
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 "$@" >>"$log" 2>&1 </dev/null &
  apt=$!
  if wait "$apt"; then apt=; else
    apt=
    return 1
  fi
}

# shellcheck disable=SC2086
install_packages() {
  say "installing $(echo $1) with apt-get; no service is started"
  log=$(mktemp)
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  restore_policy # of a run that was killed
  watch_policy
  put_policy
  apt_get update || say 'apt-get update failed; trying with the lists that are there'
  apt_get install --no-install-recommends $1 || {
    say 'apt-get install failed:'
    tail -n 15 "$log" >&2
  }
  clean_up
  log=
  trap - EXIT INT TERM HUP
}

say_what_to_install() {
  if debian; then
    say "missing: $1- install with: sudo apt-get update && sudo apt-get install --no-install-recommends $1"
  else
    say "missing: $1- install them with this system's package manager (names as on Debian; HAProxy 2.6 or newer)"
  fi
}

need_packages() {
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  if debian && [ "$(id -u)" = 0 ]; then
    install_packages "$missing"
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
  fi
  say_what_to_install "$missing"
  if [ "${CI:-}" = true ]; then exit 1; fi
  case $use in
    demo) command -v haproxy >/dev/null || exit 1 ;;
    *) say 'going on; tests that need them are reported as not run' ;;
  esac
}

need_node
need_packages
need_modules
need_build
exec "$@"
