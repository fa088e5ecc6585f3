#!/bin/bash
# Run once by the Postgres image, when its data directory is new: the login of the hosts, which may do what the ledger
# allows and nothing else. Migrations run as the owner.
set -euo pipefail
# psql reads the password by itself: an argument is there for everybody who lists processes.
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\set password `cat /run/secrets/host-password`
CREATE ROLE meridian_service NOLOGIN;
CREATE ROLE meridian_host LOGIN PASSWORD :'password' IN ROLE meridian_service;
SQL
