#!/usr/bin/env bash
# prepare.sh — draws the passwords and the master key that compose.yaml hands to the containers, once: what is there
# stays. Keep deploy/container/secrets out of version control and back the master key up: without it no stored key opens.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
umask 077
mkdir -p secrets
draw() { [ -e "secrets/$1" ] || openssl rand -hex "$2" > "secrets/$1"; }
draw owner-password 16
draw host-password 16
draw grafana-password 8
draw master-key 32
url() { printf 'postgres://%s:%s@postgres:5432/meridian?sslmode=disable\n' "$1" "$(cat "secrets/$2")"; }
[ -e secrets/owner-url ] || url meridian_owner owner-password > secrets/owner-url
[ -e secrets/host-url ] || url meridian_host host-password > secrets/host-url
# Compose hands files on as they are, with owner and mode: each is its reader's alone. Those are the users of the images:
# 65532 of meridian's, 999 of postgres', 472 of grafana's.
owners='65532:65532 master-key owner-url host-url
999:999 owner-password host-password
472:0 grafana-password'
chmod 700 secrets
chmod 600 secrets/*
if [ "$(id -u)" = 0 ]; then
  while read -r owner names; do
    for name in $names; do chown "$owner" "secrets/$name"; done
  done <<< "$owners"
else
  printf 'run once more as root, or give the files of secrets to the users that read them:\n%s\n' "$owners" >&2
fi
