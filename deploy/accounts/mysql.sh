#!/usr/bin/env bash
# Makes the database's accounts and brings their rights up to date: each may do what
# its work needs and no more (docs/operations.md, "Who looks where"). Run it again
# after an upgrade that made tables; it changes no password that is there.
#
#   mysql.sh FOLDER DATABASE [options of the mariadb client]
#   mysql.sh /etc/nemeses/secrets nemeses --host=db --user=root
#
# FOLDER holds one file an account with its password, drawn when there is none. An
# account may log in from any host; narrow that by NEMESES_ACCOUNT_HOST (`10.0.%`).
set -euo pipefail
umask 077

[ $# -ge 2 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 2; }
folder=$1 database=$2
shift 2
host=${NEMESES_ACCOUNT_HOST:-%}
case $database in '' | *[!A-Za-z0-9_]*) echo "mysql.sh: the database '$database' must be a plain name" >&2; exit 2 ;; esac
case $host in *[!A-Za-z0-9_.%:-]*) echo "mysql.sh: NEMESES_ACCOUNT_HOST '$host' is no host" >&2; exit 2 ;; esac
client=$(command -v mariadb || command -v mysql) || { echo "mysql.sh: install mariadb-client" >&2; exit 1; }
# A folder that is there keeps its rights: services may have to look into it.
[ -d "$folder" ] || mkdir -p "$folder"

# Frames and books: what only stations write.
frames="positions duplicates dead_letters books removals device_days"
frames="$frames retention_classes retention_weeks retention_rewrite retention_devices"
# What else may be read by people who help others. Not listed, not readable: a table
# that comes later is closed until somebody thought about it.
directory="devices device_groups group_devices daily device_last schema_version"

tables=$("$client" "$@" -N -B -e "SELECT table_name FROM information_schema.tables
    WHERE table_schema = '$database' AND table_type = 'BASE TABLE'")
[ -n "$tables" ] || { echo "mysql.sh: the database $database has no tables; run nemeses migrate first" >&2; exit 1; }
has() { grep -qx "$1" <<<"$tables"; }

account() {
    local file=$folder/$1
    [ -s "$file" ] || head -c 24 /dev/urandom | base64 | tr '+/' '-_' >"$file"
    echo "CREATE USER IF NOT EXISTS '$1'@'$host' IDENTIFIED BY '$(cat "$file")';"
    # From nothing, so that a right taken from this file is taken from the account.
    echo "REVOKE ALL PRIVILEGES, GRANT OPTION FROM '$1'@'$host';"
}
grant() { echo "GRANT $2 ON $3 TO '$1'@'$host';"; }
grant_tables() {
    local table
    for table in $3; do
        ! has "$table" || grant "$1" "$2" "\`$database\`.\`$table\`"
    done
}

{
    # Set-up and maintenance: the owner of the tables, and of nothing else.
    account nemeses_setup
    grant nemeses_setup "ALL PRIVILEGES" "\`$database\`.*"

    # Nodes and exporters, started with --no-migrate.
    account nemeses_station
    grant nemeses_station "SELECT, INSERT, UPDATE, DELETE" "\`$database\`.*"

    # The API reads all, and writes people, rights and devices: never frames or books.
    account nemeses_api
    grant nemeses_api SELECT "\`$database\`.*"
    for table in $tables; do
        case " $frames schema_version " in
        *" $table "*) ;;
        *) grant nemeses_api "INSERT, UPDATE, DELETE" "\`$database\`.\`$table\`" ;;
        esac
    done

    # First-line support: devices and people, without their secrets.
    account nemeses_support
    grant_tables nemeses_support SELECT "$frames $directory user_devices user_groups"
    ! has users || grant nemeses_support "SELECT (id, email, name, role, created_at_ms)" "\`$database\`.\`users\`"
    ! has logins || grant nemeses_support "SELECT (name, role, device, enabled, created_at_ms, updated_at_ms)" "\`$database\`.\`logins\`"

    # Developers: what the line did, no people.
    account nemeses_developer
    grant_tables nemeses_developer SELECT "$frames $directory"

    # Database administrators: shape and state of the tables, not their rows.
    account nemeses_dba
    grant nemeses_dba "PROCESS, REPLICATION CLIENT, RELOAD, SHOW DATABASES" "*.*"
    grant nemeses_dba "CREATE, ALTER, DROP, INDEX, LOCK TABLES, SHOW VIEW, TRIGGER" "\`$database\`.*"
    grant_tables nemeses_dba SELECT "books removals schema_version"

    # Back-up by mariadb-dump --single-transaction.
    account nemeses_backup
    grant nemeses_backup "RELOAD, PROCESS, REPLICATION CLIENT" "*.*"
    grant nemeses_backup "SELECT, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT" "\`$database\`.*"
} | "$client" "$@"
echo "accounts of $database: nemeses_{setup,station,api,support,developer,dba,backup}; passwords in $folder" >&2
