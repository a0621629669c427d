# shellcheck shell=sh
# A root of another Debian release with one package in it, for the scripts that test on the real part of that release. To
# be sourced, after setting
#   package     haproxy                              what debootstrap is asked for
#   program     usr/sbin/haproxy                     its program in the root
#   script      test:haproxy                         how a person starts the sourcing script
#   inside_id   the user's number outside of all namespaces
# Each root is made once, by debootstrap, and kept in node_modules/.cache/$package. Nothing in it is run but the program,
# on the libraries there: files, addresses and processes are the host's. Needs to be root while a root is missing.

cache=$PWD/node_modules/.cache/$package
wrapper=usr/local/muster/$package

# Where this machine has its Debian packages from.
mirror() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    sed -n -e 's/^URIs: *//p' -e 's/^deb  *\(\[[^]]*\] *\)\{0,1\}\([a-z]*:[^ ]*\) .*/\2/p' |
    tr ' ' '\n' | grep -E '^https?://.*/debian/?$' | head -n 1
}

# The program on the libraries of its root. HAProxy's reload runs what argv[0] names, which has to be the wrapper again.
write_wrapper() (
  cd "$1"
  loader=$(find lib64/ lib/ -maxdepth 1 -name 'ld-linux-*.so.*' 2>/dev/null | head -n 1)
  libraries=$(find usr/lib/ -maxdepth 1 -name '*-linux-gnu' | head -n 1)
  mkdir -p "${wrapper%/*}"
  cat >$wrapper <<END
#!/bin/sh
root=\${0%/$wrapper}
exec "\$root/$loader" --argv0 "\$0" --library-path "\$root/$libraries" "\$root/$program" "\$@"
END
  chmod 755 $wrapper
)

# Whether the root of a suite is there and whole; one that was not finished has another name.
is_made() { "$cache/$1/$wrapper" --version >/dev/null 2>&1 || "$cache/$1/$wrapper" -v >/dev/null 2>&1; }

make_root() {
  from=$(mirror || :)
  say "making a root of Debian $1 with $package in it"
  rm -rf "${cache:?}/$1" "$cache/$1.new"
  eval "$(apt-config shell proxy Acquire::http::Proxy 2>/dev/null || :)"
  # Not every debootstrap knows the newest names; all releases since are made as sid is.
  said=$(http_proxy=${proxy:-${http_proxy:-}} debootstrap --force-check-gpg --variant=minbase --include="$package" \
    "$1" "$cache/$1.new" "${from:-http://deb.debian.org/debian}" /usr/share/debootstrap/scripts/sid 2>&1) || {
    printf '%s\n' "$said" | tail -n 15 >&2
    rm -rf "$cache/$1.new"
    return 1
  }
  write_wrapper "$cache/$1.new"
  mv "$cache/$1.new" "$cache/$1"
}

# Two runs at once do not make the same root.
need_root() {
  ! is_made "$1" || return 0
  if [ "$inside_id" != 0 ]; then
    say "the root of $1 is not there, and only root can make it: sudo npm run $script"
    return 1
  fi
  mkdir -p "$cache"
  (
    flock 9
    is_made "$1" || make_root "$1" || exit 1
    is_made "$1" || { say "$package of $1 does not run here" && exit 1; }
  ) 9>"$cache/lock"
}
