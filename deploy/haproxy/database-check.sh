#!/bin/sh
# Whether a MariaDB takes writes: no replica, and if it is of a Galera cluster then in the
# part that goes on, and synced. HAProxy calls it with its own address and port, then the
# server's. The account needs no right at all:
#   CREATE USER haproxy_check@'%' IDENTIFIED BY '...';
# Its name and password are in the file beside this one ([client] user=, password=).
settings=$(dirname "$0")/database-check.cnf
well="SELECT @@read_only = 0 AND (@@wsrep_on = 0 OR (
    SELECT COUNT(*) = 2 FROM information_schema.global_status
    WHERE (variable_name = 'WSREP_READY' AND variable_value = 'ON')
       OR (variable_name = 'WSREP_LOCAL_STATE' AND variable_value = '4')))"
answer=$(mariadb --defaults-file="$settings" --connect-timeout=1 --host="$3" --port="$4" \
    --protocol=tcp --skip-column-names --batch --execute="$well" 2>/dev/null)
[ "$answer" = 1 ]
