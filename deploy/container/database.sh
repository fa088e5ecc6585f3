#!/bin/bash
# Run once by the Postgres image, when its data directory is new: the login of the hosts, which may do what the ledger
# allows and nothing else. Migrations run as the owner.
set -euo pipefail
host_password=$(cat /run/secrets/host-password)
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set password="$host_password" <<'SQL'
CREATE ROLE meridian_service NOLOGIN;
CREATE ROLE meridian_host LOGIN PASSWORD :'password' IN ROLE meridian_service;
SQL
