#!/usr/bin/env bash
# The store for several nodes keeps its promises on a real PostgreSQL, directly and behind a pooler that gives each
# transaction another connection, and so do whole nodes.
source "$(dirname "$0")/step.sh"
need cargo-nextest "\`scripts/check/install.sh\` installs it"

bin=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1) || true
[[ -n $bin ]] || bin=$(dirname "$(command -v initdb)" 2>/dev/null) || true
[[ -n $bin && -x $bin/initdb ]] || skip "PostgreSQL is not installed; \`scripts/check/install.sh\` installs it as root on Debian"

# The server refuses to run as root, and its user may not be let into this repository; the database goes where it may.
as=()
if [[ $(id -u) -eq 0 ]]; then
  id postgres >/dev/null 2>&1 || skip "there is no user \`postgres\` to run the server as"
  as=(runuser -u postgres --)
fi
# In memory, where there is room: what crashes here are processes, and hundreds of schemas are made and dropped.
room=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1) || room=0
if [[ ${room:-0} -gt 4000000 ]] && ! findmnt --noheadings --output OPTIONS /dev/shm | grep -q noexec; then
  export TMPDIR=/dev/shm
fi
place=$(mktemp -d "${TMPDIR:-/tmp}/hookyard-check-postgres.XXXXXX")
chmod 755 "$place"
if [[ ${#as[@]} -gt 0 ]]; then chown postgres "$place"; fi
cd "$place"

stop() {
  if [[ -f $place/pooler.pid ]]; then kill "$(<"$place/pooler.pid")" 2>/dev/null || true; fi
  "${as[@]}" "$bin/pg_ctl" -D "$place/data" -m immediate -w stop >/dev/null 2>&1 || true
  rm -rf "$place"
}
trap stop EXIT

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

port=$(free_port)
"${as[@]}" "$bin/initdb" --pgdata="$place/data" --auth=trust --username=postgres --encoding=UTF8 --locale=C >/dev/null
cat >>"$place/data/postgresql.conf" <<CONF
port = $port
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
CONF
if command -v openssl >/dev/null; then
  key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
  printf 'subjectAltName = DNS:localhost\n' >names
  "${as[@]}" openssl req -x509 "${key[@]}" -days 2 -subj '/CN=an authority' -keyout data/ca.key -out ca.pem 2>/dev/null
  "${as[@]}" openssl req "${key[@]}" -subj '/CN=a server' -keyout data/server.key -out data/server.csr 2>/dev/null
  "${as[@]}" openssl x509 -req -in data/server.csr -CA ca.pem -CAkey data/ca.key -CAcreateserial -days 2 \
    -extfile names -out data/server.crt 2>/dev/null
  printf 'ssl = on\n' >>"$place/data/postgresql.conf"
  export HOOKYARD_TEST_POSTGRES_CA=$place/ca.pem
else
  note "without TLS: \`openssl\` is not installed"
fi
"${as[@]}" "$bin/pg_ctl" -D "$place/data" -l "$place/data/log" -w start >/dev/null

cd "$OLDPWD"
export HOOKYARD_TEST_POSTGRES=postgres://postgres@127.0.0.1:$port/postgres
cargo nextest run --locked --package hookyard-postgres
# The engine in a simulated world over it: three workers that crash, and calls that fail.
cargo nextest run --locked --package hookyard-simulation -E 'test(/^a_database_/)'
# Whole nodes on it, directly and behind poolers of their own; those that stop, restart or fill up a server start their own.
# Most of the time they wait for a lease to end or for somebody to try again, so more of them run than there are processors.
cargo nextest run --locked --package hookyard --test postgres --test-threads "$((3 * $(nproc)))"

# The binary that those tests built, killed again and again.
killed() {
  "$CARGO_TARGET_DIR/debug/hookyard" bench --directory "$place" crash --rounds "$1" --database "$2"
}
printf -- '-- nothing acknowledged is lost to kill -9\n'
killed 10 "$HOOKYARD_TEST_POSTGRES"

# A server that stops without writing anything down, under load, and comes back.
cat >"$place/crash" <<CRASH
#!/bin/sh
cd '$place' && exec ${as[*]} '$bin/pg_ctl' -D '$place/data' -l '$place/data/log' -m immediate -w -t 300 restart
CRASH
chmod +x "$place/crash"
HOOKYARD_TEST_POSTGRES_CRASH=$place/crash \
  cargo nextest run --locked --package hookyard-postgres -E 'test(=nodes::what_was_answered_survives_a_crash_of_the_server)'

if ! command -v pgbouncer >/dev/null; then
  note "without a pooler: \`pgbouncer\` is not installed"
  exit 0
fi
pooler=$(free_port)
cat >"$place/pooler.ini" <<CONF
[databases]
* = host=127.0.0.1 port=$port
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $pooler
unix_socket_dir =
auth_type = trust
auth_file = $place/users
pool_mode = transaction
default_pool_size = 20
max_client_conn = 500
logfile = $place/pooler.log
pidfile = $place/pooler.pid
CONF
printf '"postgres" ""\n' >"$place/users"
if [[ ${#as[@]} -gt 0 ]]; then chown postgres "$place/users" "$place/pooler.ini"; fi
"${as[@]}" pgbouncer --daemon "$place/pooler.ini" >/dev/null
# What listens, what cuts connections and what reads plans needs the server itself.
HOOKYARD_TEST_POSTGRES=postgres://postgres@127.0.0.1:$pooler/postgres \
  cargo nextest run --locked --package hookyard-postgres -E 'test(/^conformance::/) | test(/^keeping::/)'
HOOKYARD_TEST_POSTGRES=postgres://postgres@127.0.0.1:$pooler/postgres SEEDS=3 \
  cargo nextest run --locked --package hookyard-simulation -E 'test(/^a_database_/)'
printf -- '-- nor behind the pooler\n'
killed 3 "postgres://postgres@127.0.0.1:$pooler/postgres"
