#!/usr/bin/env bash
# Draws the passwords that compose.yaml needs, into secrets/ beside this script. What is
# there already stays.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
chmod 700 secrets
draw() { [ -s "secrets/$1" ] || head -c 24 /dev/urandom | base64 | tr '+/' '-_' >"secrets/$1"; }
draw database_password
draw grafana_password
draw jwt_secret
# These two are mounted into containers as they are, and read there by users of other
# numbers. On this machine the folder keeps everybody else out.
chmod 644 secrets/database_password secrets/grafana_password
cat >secrets/stations.env <<TEXT
NEMESES_DATABASE_URL=mysql://nemeses:$(cat secrets/database_password)@mariadb:3306/nemeses?ssl-mode=disabled
NEMESES_REDIS_URL=redis://redis:6379
NEMESES_MQTT_URL=mqtt://mosquitto:1883
NEMESES_JWT_SECRET=$(cat secrets/jwt_secret)
TEXT
echo "secrets/ is complete; Grafana's admin password is in secrets/grafana_password"
