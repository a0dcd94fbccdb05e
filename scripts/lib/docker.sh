# A Docker engine and a compose for the scripts that need them: found, installed or started where that is possible.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# The command to write before compose's own arguments.
compose=()
started_engine=
engine_pid_file="$root/.run/dockerd.pid"

# skip WHY: ends well without having tested anything, and says so.
skip() {
  echo "skipped: $*"
  exit 0
}

engine_answers() { timeout 20 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# find_compose: version 2 before version 1.
find_compose() {
  local command
  for command in 'docker compose' docker-compose; do
    read -ra compose <<<"$command"
    "${compose[@]}" version >/dev/null 2>&1 && return
  done
  compose=()
  return 1
}

# may_install: whether packages can be installed and an engine be started without asking anyone.
may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

# ready_docker: leaves a Docker engine that answers and `compose`, or skips.
ready_docker() {
  engine_answers || start_engine
  find_compose && return
  may_install || skip "neither \`docker compose\` nor docker-compose is installed"
  apt_install docker-compose || skip "docker-compose cannot be installed"
  find_compose || skip "Debian's docker-compose does not run here"
}

start_engine() {
  [ "$(id -u)" = 0 ] || skip "no Docker engine answers: start one that $(id -un) may use"
  if ! command -v docker >/dev/null 2>&1 || ! command -v dockerd >/dev/null 2>&1; then
    may_install || skip "no Docker engine answers, and none can be installed: there is no apt-get"
    apt_install docker.io docker-compose || skip "docker.io cannot be installed"
    # Where the package starts a service, that one will do.
    engine_answers && return
  fi
  say "starting dockerd"
  local log="$root/.run/dockerd.log" pid
  mkdir -p "$root/.run"
  setsid dockerd --pidfile "$engine_pid_file" >"$log" 2>&1 &
  pid=$!
  for _ in $(seq 60); do
    if engine_answers; then
      started_engine=1
      return
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.5
  done
  kill "$pid" 2>/dev/null || true
  skip "dockerd does not start here: $(tail -n 1 "$log")"
}

# stop_engine: only the one that start_engine started.
stop_engine() {
  [ -n "$started_engine" ] && [ -f "$engine_pid_file" ] || return 0
  local pid
  pid="$(cat "$engine_pid_file")"
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
  done
  started_engine=
}
