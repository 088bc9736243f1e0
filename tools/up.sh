#!/usr/bin/env bash
# Builds the program, starts a node on its embedded default with simulated
# trackers, and prints commands to look at them. Ctrl-C stops all of it.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

DATA=${NEMESES_DATA_DIR:-data}
MQTT=${NEMESES_MQTT_LISTEN:-127.0.0.1:1883}
HTTP=${NEMESES_HTTP_LISTEN:-127.0.0.1:5000}
ADMIN=${NEMESES_ADMIN_LISTEN:-127.0.0.1:9180}
# Devices of other protocols, on loopback (docs/protocols/README.md).
TCP=${NEMESES_TCP_LISTEN:-teltonika=127.0.0.1:5027,gt06=127.0.0.1:5023,queclink=127.0.0.1:5004}
UDP=${NEMESES_UDP_LISTEN:-teltonika=127.0.0.1:5027,queclink=127.0.0.1:5004}
PHONES=${NEMESES_HTTP_DEVICES_LISTEN:-127.0.0.1:5055}
GRPC=${NEMESES_GRPC_LISTEN:-127.0.0.1:5001}
DEVICES=${DEVICES:-50}
EMAIL=demo@nemeses.example
API=http://$HTTP
DEVICE=500000 # the simulator's first

need_cargo
command -v curl >/dev/null || fail "curl is missing: install it with your package manager (apt-get install curl)"
for listen in "NEMESES_MQTT_LISTEN $MQTT" "NEMESES_HTTP_LISTEN $HTTP" "NEMESES_ADMIN_LISTEN $ADMIN" "NEMESES_HTTP_DEVICES_LISTEN $PHONES" "NEMESES_GRPC_LISTEN $GRPC"; do
    read -r setting address <<<"$listen"
    if (exec 3<>"/dev/tcp/${address%:*}/${address##*:}") 2>/dev/null; then
        fail "something listens on $address already; stop it, or choose another address: $setting=127.0.0.1:PORT make up"
    fi
done

if have npm; then
    tools/web.sh
else
    echo "npm is missing: without it there is no live page, only the API (apt-get install npm)"
fi
echo "Building (some minutes the first time)"
cargo build --locked --release --package nemeses
PROGRAM=${CARGO_TARGET_DIR:-target}/release/nemeses
(umask 077 && mkdir -p "$DATA")

# Both are asked to end like a service would be; the node commits what is in flight.
NODE='' SIMULATOR='' VALUES='' PAST=''
stop() {
    trap - EXIT INT TERM
    for part in "$PAST" "$VALUES" "$SIMULATOR" "$NODE"; do
        [ -n "$part" ] || continue
        kill -TERM "$part" 2>/dev/null || true
        wait "$part" 2>/dev/null || true
    done
}
trap stop EXIT
trap 'echo; echo "Stopping"; exit 0' INT TERM

# A terminal's Ctrl-C reaches the whole group; the order above is wanted instead.
(
    trap '' INT
    exec "$PROGRAM" up --data-dir "$DATA" --mqtt-listen "$MQTT" --http-listen "$HTTP" --admin-listen "$ADMIN" \
        --tcp-listen "$TCP" --udp-listen "$UDP" --http-devices-listen "$PHONES" --grpc-listen "$GRPC" \
        --mqtt-protocols owntracks,sparkplug,thingsboard,telegraf,glances,tasmota,zigbee2mqtt,chirpstack,ttn
) >>"$DATA/node.log" 2>&1 &
NODE=$!
for _ in $(seq 100); do
    curl -fs "$API/readyz" >/dev/null 2>&1 && break
    kill -0 "$NODE" 2>/dev/null || { tail -n 5 "$DATA/node.log" >&2; fail "the node ended; its log is $DATA/node.log"; }
    sleep 0.1
done
curl -fs "$API/readyz" >/dev/null || fail "the node is not ready after 10 s; its log is $DATA/node.log"

# The demo user of an earlier start keeps its password. It is no admin: that is whoever
# registers first on the page.
if [ ! -s "$DATA/demo-password" ]; then
    made=$("$PROGRAM" user add "$EMAIL" --name Demo --role operator --leave-first --json --data-dir "$DATA") ||
        fail "the demo user could not be made; if it exists with another password, choose another NEMESES_DATA_DIR"
    (umask 077 && sed -n 's/.*"password": *"\([^"]*\)".*/\1/p' <<<"$made" >"$DATA/demo-password")
fi
PASSWORD=$(cat "$DATA/demo-password")
login() {
    curl -s "$API/login" -H 'Content-Type: application/json' \
        -d "{\"email\":\"$EMAIL\",\"password\":\"$PASSWORD\"}" | sed -n 's/.*"token":"\([^"]*\)".*/\1/p'
}
TOKEN=$(login)
[ -n "$TOKEN" ] ||
    fail "the demo user cannot sign in; if it has another password by now, choose another NEMESES_DATA_DIR"

(
    trap '' INT
    exec "$PROGRAM" simulate --mqtt-url "mqtt://$MQTT" --devices "$DEVICES" --interval 2s
) >>"$DATA/simulate.log" 2>&1 &
SIMULATOR=$!

# Some that send named values beside their positions.
teltonika=$(tr , '\n' <<<"$TCP" | sed -n 's/^teltonika=//p')
if [ -n "$teltonika" ]; then
    (
        trap '' INT
        exec "$PROGRAM" simulate --protocol teltonika --tcp-server "$teltonika" --devices 5 --interval 5s
    ) >>"$DATA/simulate.log" 2>&1 &
    VALUES=$!
fi

# What a simulated tracker does is decided by the time alone: the hours before now, sent
# beside the present, join it without a seam. At this rate it takes twenty seconds.
PAST_HOURS=6 PAST_INTERVAL_S=10 PAST_SECONDS=20
if [ ! -e "$DATA/past-sent" ]; then
    (
        trap '' INT
        exec "$PROGRAM" simulate --mqtt-url "mqtt://$MQTT" --devices "$DEVICES" \
            --client-id-prefix past --interval "${PAST_INTERVAL_S}s" \
            --start "$(($(date +%s) - PAST_HOURS * 3600))" \
            --rate "$((PAST_HOURS * 3600 / PAST_INTERVAL_S * DEVICES / PAST_SECONDS))" \
            --duration "${PAST_SECONDS}s"
    ) >>"$DATA/simulate.log" 2>&1 &
    PAST=$!
    touch "$DATA/past-sent"
fi
location() { curl -fs "$API/api/v1/location/?device_id=$1" -H "Authorization: Bearer $TOKEN"; }
is_moving() { location "$1" 2>/dev/null | grep -q '"speed_kmh":[1-9]'; }
# One that moves is worth looking at; after half a minute any will do.
for _ in $(seq 150); do
    for number in $(seq 0 7); do
        is_moving "50000$number" && DEVICE=50000$number && break 2
    done
    kill -0 "$SIMULATOR" 2>/dev/null || { tail -n 5 "$DATA/simulate.log" >&2; fail "the simulator ended; its log is $DATA/simulate.log"; }
    sleep 0.2
done

cat <<TEXT

Nemeses is up, and $DEVICES simulated trackers drive.

  Page      $API    register there (the first to do so is the administrator),
                            or sign in as $EMAIL with the password $PASSWORD
  MQTT      $MQTT    frames to /messenger, ping replies on /ping
  REST API  $API
  gRPC      $GRPC    docs/grpc.md
  Devices   $TCP by TCP, $UDP by UDP,
            phones at http://$PHONES, and more by MQTT: docs/protocols/README.md
  Metrics   http://$ADMIN/metrics
  Logs      $DATA/node.log, $DATA/simulate.log

Paste into another terminal:

  # sign in (user $EMAIL)
  TOKEN=\$(curl -s $API/login -H 'Content-Type: application/json' -d '{"email":"$EMAIL","password":"$PASSWORD"}' | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')

  # where a tracker is now; ask again to see it move
  curl -s "$API/api/v1/location/?device_id=$DEVICE" -H "Authorization: Bearer \$TOKEN"

  # where it was
  curl -s "$API/api/v1/report/?device_id=$DEVICE&order=desc&limit=5" -H "Authorization: Bearer \$TOKEN"

  # publish a frame yourself, then look at it
  mosquitto_pub -h ${MQTT%:*} -p ${MQTT##*:} -q 1 -t /messenger -m "\$($PROGRAM encode 0A3F73 -19.932833 -43.938493 60)"
  curl -s "$API/api/v1/location/?device_id=0A3F73" -H "Authorization: Bearer \$TOKEN"

  # publish named values, and read them as a series
  mosquitto_pub -h ${MQTT%:*} -p ${MQTT##*:} -q 1 -t /telemetry/id:boiler-3 -m '{"temperature": 21.5}'
  curl -s "$API/api/v1/series?device_id=id:boiler-3&channel=temperature&last_n=5" -H "Authorization: Bearer \$TOKEN"

Now: $(location "$DEVICE" || echo 'not heard of yet')

Ctrl-C stops everything.
TEXT
wait -n "$NODE" "$SIMULATOR" || true
fail "a part ended by itself; the logs are $DATA/node.log and $DATA/simulate.log"
