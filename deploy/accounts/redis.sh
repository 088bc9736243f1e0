#!/usr/bin/env bash
# Writes Redis' accounts to standard output, in the form of its `aclfile`: each may do
# what its work needs and no more (docs/operations.md, "Who looks where").
#
#   redis.sh FOLDER > /etc/redis/users.acl
#   redis-cli ACL LOAD
#
# FOLDER holds one file an account with its password, drawn when there is none. The
# file written holds their SHA-256. The account `default` is closed.
set -euo pipefail
umask 077

[ $# -eq 1 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
folder=$1
[ -d "$folder" ] || mkdir -p "$folder"

user() {
    local file=$folder/$1
    [ -s "$file" ] || head -c 24 /dev/urandom | base64 | tr '+/' '-_' >"$file"
    echo "user $1 on #$(tr -d '\n' <"$file" | sha256sum | cut -d ' ' -f 1) $2"
}

greet="+ping +hello +auth +client|setname +client|id +select +info"

echo "user default off"
# Stations: live entries and what they tell each other, with all commands for data, and
# none for the server, but to ask whether it is a primary.
user nemeses-station "resetchannels ~live:* ~nemeses:* &nemeses:* +@all -@admin -@dangerous $greet +role"
# First-line support: is this device live, and since when? Which processes are there?
user nemeses-support "resetchannels %R~live:* %R~nemeses:{workers}* $greet +get +mget +strlen +exists +ttl +pttl +type +scan +zrevrange"
# Set-up and maintenance: the same data as stations, and the server's settings to read.
user nemeses-setup "resetchannels ~live:* ~nemeses:* &nemeses:* +@all -@admin -@dangerous $greet +config|get +client|list +dbsize +scan"
# Developers: what is slow; nothing is changed.
user nemeses-developer "resetchannels %R~live:* %R~nemeses:* $greet +@read +slowlog|get +slowlog|len +latency +memory|usage +memory|stats +dbsize"
# Database administrators: the server, not the positions in it.
user nemeses-dba "resetkeys resetchannels $greet +@admin +@dangerous +config +client +memory +latency +dbsize -flushall -flushdb -keys -sort -sort_ro -migrate -restore"
