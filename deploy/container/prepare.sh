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
# The containers' user reads them; Compose hands files on as they are.
if [ "$(id -u)" = 0 ]; then
  chown 65532:65532 secrets/master-key secrets/owner-url secrets/host-url
  chmod 644 secrets/owner-password secrets/host-password secrets/grafana-password
  chmod 711 secrets
else
  echo "run once more as root, or: chown 65532:65532 secrets/master-key secrets/owner-url secrets/host-url" >&2
fi
