# Shared by the scripts: where the repository is, and how problems are told.
# shellcheck shell=bash
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"

# say WHAT: one line of progress, apart from results on stdout.
say() { printf '%s\n' "$*" >&2; }

# die WHAT: one clear line that says what is wrong and what to do.
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# need COMMAND REMEDY: ends with the remedy if the command is missing.
need() { command -v "$1" >/dev/null 2>&1 || die "\`$1\` is missing: $2"; }

# as_root COMMAND...: runs it as root without ever asking for a password; fails where that is impossible.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# running PIDFILE: whether it names a process that scripts/up of this checkout started. A pid may have been given to another
# process since, so its command line must name the checkout's run folder.
running() {
  [ -f "$1" ] && tr '\0' ' ' 2>/dev/null <"/proc/$(cat "$1")/cmdline" | grep -q -- "$root/.run/"
} 2>/dev/null

# envoy_version BINARY: as in "1.40.0"; nothing if it is no Envoy.
envoy_version() { "$1" --version 2>/dev/null | sed -n 's|.*version: [0-9a-f]*/\([0-9.]*\)/.*|\1|p'; }

# help_from FILE: prints the comment block at the head of a script.
help_from() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$1"; }

# apt_install PACKAGE...: installs Debian packages where this user may, else says the command.
apt_install() {
  command -v apt-get >/dev/null 2>&1 || return 1
  say "installing Debian packages: $*"
  local log
  log="$(mktemp)"
  if as_root sh -c "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $*" >"$log" 2>&1; then
    rm -f "$log"
  else
    tail -n 5 "$log" >&2
    rm -f "$log"
    say "run this as root, then start again: apt-get install --no-install-recommends $*"
    return 1
  fi
}

# python_env [FOLDER VENV]: prints the Python of .cache/VENV (venv), made from the requirements.txt of FOLDER (tests) on first
# use and when that file changes.
python_env() {
  local folder="${1:-tests}" venv="$root/.cache/${2:-venv}"
  local wanted="$root/$folder/requirements.txt"
  if ! cmp -s "$wanted" "$venv/requirements.txt"; then
    need python3 "install Python 3 with venv and pip"
    say "installing Python packages of $folder/requirements.txt into .cache/${2:-venv}"
    rm -rf "$venv"
    python3 -m venv "$venv" >&2 || die "python3 -m venv failed: install your system's python3-venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted" >&2 ||
      die "pip could not install $folder/requirements.txt: see above"
    cp "$wanted" "$venv/requirements.txt"
  fi
  printf '%s\n' "$venv/bin/python"
}

# tool COMMAND: prints a command on PATH, or the one that tests/requirements.txt brings.
tool() {
  command -v "$1" && return 0
  local python
  python="$(python_env)" && [ -x "${python%/*}/$1" ] && printf '%s\n' "${python%/*}/$1"
}
