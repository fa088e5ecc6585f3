#!/usr/bin/env bash
# need.sh WHAT — finds or installs what a make target needs, or says what to do.
#
#   go         a Go that is new enough, and caches that it can write
#   browser    a Chromium, for the tests of the console; none has to run
#   race       what the race detector needs: a C compiler
#   race-flag  prints -race where the race detector works, else nothing
#   postgres   the binaries of a Postgres server; none has to run
#   prometheus a Prometheus server and promtool, if they can be had; none has to run
#   prometheus-directory  does the same and prints where they are, nothing where they cannot be had
#
# As root on Debian and its relatives it installs packages; for anyone else it changes nothing on the machine but .cache.
set -euo pipefail

go=${GO:-go}

say() { printf '%s\n' "$*" >&2; }

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

# apt_get … — waits for whoever has apt's locks just then, two minutes at most.
apt_get() {
  local attempt said
  said=$(mktemp)
  for attempt in 1 2 3 4 5 6 7 8 9 10 11 12; do
    if LC_ALL=C apt-get -o DPkg::Lock::Timeout=120 "$@" >"$said" 2>&1; then
      cat "$said"
      rm -f "$said"
      return 0
    fi
    [ "$attempt" != 12 ] && grep -q 'Could not get lock' "$said" || break
    sleep 10
  done
  cat "$said"
  rm -f "$said"
  return 1
}

# install_debian PACKAGE… — without questions; the package lists are fetched when the machine has none.
install_debian() {
  say "installing $*"
  export DEBIAN_FRONTEND=noninteractive
  local log
  log=$(mktemp)
  if ! { apt_get install -y --no-install-recommends "$@" || { apt_get update && apt_get install -y --no-install-recommends "$@"; }; } \
      >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    say "installing $* failed (above: apt-get's last words)"
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

# writable DIRECTORY — it can be made, or exists and takes a file.
writable() { mkdir -p "$1" 2>/dev/null && [ -w "$1" ]; }

need_go() {
  if ! command -v "$go" >/dev/null 2>&1; then
    say "Go is not on this machine: neither on PATH nor in /usr/local/go/bin."
    say "Install Go $(wanted_go) or newer from https://go.dev/dl/, or say where it is: make GO=/path/to/go …"
    return 1
  fi
  local variable directory
  for variable in GOCACHE GOMODCACHE; do
    directory=$("$go" env "$variable")
    if ! writable "$directory"; then
      say "Go's $variable is $directory, which $(id -un 2>/dev/null || id -u) cannot write."
      say "Name a directory that can be written: $variable=/path/to/directory make …"
      return 1
    fi
  done
  local version
  version=$("$go" env GOVERSION)
  if ! newer_or_same "${version#go}" "$(wanted_go)"; then
    say "$go is $version; Meridian needs Go $(wanted_go) or newer (https://go.dev/dl/)."
    return 1
  fi
}

wanted_go() { awk '$1 == "go" {print $2; exit}' go.mod; }

# newer_or_same A B — version A is not older than version B; a development version counts as new.
newer_or_same() {
  case $1 in devel*) return 0 ;; esac
  [ "$(printf '%s\n%s\n' "${2%% *}" "${1%% *}" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)" = "${2%% *}" ]
}

has_browser() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" >/dev/null 2>&1 && return 0
  done
  return 1
}

need_browser() {
  has_browser && return 0
  if can_install; then
    install_debian chromium
    return
  fi
  say "No Chromium on this machine: the console's pages are tested without a browser. With chromium installed they are tested in it."
}

has_compiler() { command -v "${CC:-gcc}" >/dev/null 2>&1 || command -v clang >/dev/null 2>&1; }

need_race() {
  has_compiler && return 0
  if can_install; then
    install_debian gcc libc6-dev
    return
  fi
  say "No C compiler: the tests run without the race detector. With gcc or clang installed they run with it."
}

postgres_directories() {
  ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
    /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin 2>/dev/null || true
}

has_postgres() {
  local directory
  command -v initdb >/dev/null 2>&1 && command -v postgres >/dev/null 2>&1 && return 0
  for directory in $(postgres_directories); do
    [ -x "$directory/initdb" ] && [ -x "$directory/postgres" ] && return 0
  done
  return 1
}

need_postgres() {
  has_postgres && return 0
  if can_install; then
    # Only the binaries are wanted: Debian's package would also start a server on port 5432.
    local no_cluster=/etc/postgresql-common/createcluster.d/meridian.conf
    mkdir -p "${no_cluster%/*}"
    echo 'create_main_cluster = false' >"$no_cluster"
    local outcome=0
    install_debian postgresql || outcome=$?
    rm -f "$no_cluster"
    rmdir -p "${no_cluster%/*}" 2>/dev/null || true
    # Without the package the binaries are downloaded, as for an ordinary user.
    [ "$outcome" = 0 ] && return 0
  fi
  say "No Postgres binaries on this machine: Meridian downloads them. Installing Postgres 15 to 18 avoids that."
}

# Where prometheus and promtool are, if both are.
prometheus_directory() {
  local directory
  for directory in "$(dirname "$(command -v promtool 2>/dev/null || echo none/promtool)")" "$PWD/.cache/prometheus" \
      /opt/homebrew/bin /usr/local/bin; do
    if [ -x "$directory/promtool" ] && [ -x "$directory/prometheus" ]; then
      printf '%s\n' "$directory"
      return 0
    fi
  done
  return 1
}

# unpack_prometheus — takes the two programs out of Debian's package. Installing it would also start a server on port
# 9090, now and at every boot; unpacking it changes nothing on the machine, and needs no root where package lists are.
unpack_prometheus() {
  local work log outcome=0
  work=$(mktemp -d "$PWD/.cache/prometheus.XXXXXX")
  log=$work/log
  say "fetching prometheus and promtool (once)"
  (
    cd "$work" &&
      { apt_get download prometheus || { [ "$(id -u)" = 0 ] && apt_get update && apt_get download prometheus; }; } &&
      dpkg-deb --extract prometheus_*.deb package &&
      mkdir programs &&
      mv package/usr/bin/prometheus package/usr/bin/promtool programs/ &&
      programs/promtool --version &&
      programs/prometheus --version
  ) >"$log" 2>&1 </dev/null || outcome=$?
  if [ "$outcome" = 0 ]; then
    rm -rf .cache/prometheus
    mv -T "$work/programs" .cache/prometheus
  else
    tail -n 5 "$log" >&2
    say "fetching prometheus failed (above: the last words)"
  fi
  rm -rf "$work"
  return "$outcome"
}

# Alert rules and dashboards are a part of the product whose tests need more than Go and Postgres: a machine that
# cannot have Prometheus tests everything else.
need_prometheus() {
  prometheus_directory >/dev/null && return 0
  if command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1; then
    mkdir -p .cache
    # One at a time: others find what the first one fetched.
    if (
      flock 9
      prometheus_directory >/dev/null || unpack_prometheus
    ) 9>.cache/prometheus.lock; then
      return 0
    fi
  fi
  say "No Prometheus on this machine: alert rules and dashboards are not tested. With prometheus and promtool on PATH they are."
}

case ${1:-} in
  go) need_go ;;
  browser) need_browser ;;
  race) need_race ;;
  race-flag) if has_compiler; then echo -race; fi ;;
  postgres) need_postgres ;;
  prometheus) need_prometheus ;;
  prometheus-directory) need_prometheus && { prometheus_directory || true; } ;;
  *) say "usage: need.sh go | browser | race | race-flag | postgres | prometheus | prometheus-directory"; exit 2 ;;
esac
