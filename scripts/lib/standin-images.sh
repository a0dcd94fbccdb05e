# Images for machines that reach no image registry: the same names, made of the programs that other sources have.
#
# A stand-in is one program of this machine, the libraries it loads and nothing else, imported as an image. It shows that
# the Dockerfile and the compose file work with that program; that the published image behaves alike is taken on trust.
# The label `tollgate.stand-in` holds a digest of its files, so that an unchanged one is not imported again, and a later
# run that reaches a registry replaces it.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

standin_label=tollgate.stand-in
registry_answers=1

# provide_image IMAGE MAKE: pulls the image, or calls MAKE to make its stand-in.
provide_image() {
  local image="$1" make="$2"
  has_image "$image" && return
  "$make" "$image" || die "$image cannot be pulled, and its stand-in cannot be made: see above"
}

# has_image IMAGE: whether the real one is there, or can be pulled.
has_image() {
  local image="$1" digest
  if digest="$(standin_digest "$image")" && [ -z "$digest" ]; then
    return
  fi
  # One refusal is enough: a closed network may take its time for each.
  if [ -n "$registry_answers" ]; then
    say "pulling $image"
    timeout 300 docker pull --quiet "$image" >/dev/null 2>&1 && return
    say "no image registry gives it: stand-ins it is"
    registry_answers=
  fi
  return 1
}

# dockerfile_version: of the Envoy that envoy/Dockerfile takes.
dockerfile_version() { sed -n 's/^ARG ENVOY_VERSION=//p' "$root/envoy/Dockerfile"; }

# build_gateway TAG, build_provider TAG: the gateway's image, and that of the scripted provider or its stand-in.
build_gateway() { quietly docker build --file "$root/envoy/Dockerfile" --tag "$1" "$root" || die "envoy/Dockerfile does not build: see above"; }
build_provider() {
  if [ -n "$registry_answers" ]; then
    quietly docker build --file "$root/tests/provider.Dockerfile" --tag "$1" "$root" || die "tests/provider.Dockerfile does not build: see above"
  else
    standin_provider "$1"
  fi
}

# standin_digest IMAGE: prints the digest of a stand-in, nothing for a real image; fails if there is no such image.
standin_digest() { docker image inspect --format "{{with .Config.Labels}}{{index . \"$standin_label\"}}{{end}}" "$1" 2>/dev/null; }

# import_standin IMAGE PROGRAM AT ENTRY_POINT [MORE FILES]: PROGRAM at path AT, the others where they are.
import_standin() {
  local image="$1" program="$2" at="$3" digest tree more
  shift 3
  digest="$(cat "$program" "$@" | sha256sum | cut -d' ' -f1)"
  say "stand-in: $image holds $program"
  [ "$(standin_digest "$image")" != "$digest" ] || return 0
  tree="$(mktemp -d)"
  # Its programs run as other users, whatever this user's umask and mktemp want.
  umask 022
  chmod 755 "$tree"
  lay "$tree" "$program" "$at"
  for more in "$@"; do lay "$tree" "$more" "$more"; done
  install -D -m 644 /dev/stdin "$tree/etc/passwd" <<<$'root:x:0:0::/:\nenvoy:x:101:101::/:\nnobody:x:65534:65534::/:'
  install -D -m 644 /dev/stdin "$tree/etc/nsswitch.conf" <<<'hosts: files dns'
  [ ! -f /etc/ssl/certs/ca-certificates.crt ] ||
    install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/ca-certificates.crt"
  # A volume takes over the rights of what it is mounted on.
  install -d -m 1777 "$tree/tmp" "$tree/data"
  tar -C "$tree" --owner=0 --group=0 --numeric-owner -c . |
    docker import --change "LABEL $standin_label=$digest" --change "ENTRYPOINT [\"$at\"]" - "$image" >/dev/null
  rm -rf "$tree"
}

# lay TREE PROGRAM AT: copies a program and the libraries it loads.
lay() {
  local tree="$1" program="$2" at="$3" library
  install -D -m 755 "$program" "$tree$at"
  # A static program has none, and ldd says so by failing.
  { ldd "$program" 2>/dev/null || true; } | grep -o '/[^ ]*' | while read -r library; do
    install -D -m 755 "$library" "$tree$library"
  done
}

# The health check of envoy/Dockerfile runs in bash.
standin_envoy() { import_standin "$1" "$("$root/scripts/get-envoy" "${1##*:v}")" /usr/local/bin/envoy /bin/bash; }

# Debian's are older than the images'; they read the same configuration and answer the same queries.
standin_prometheus() { import_standin "$1" "$("$root/scripts/get-prometheus")/prometheus" /bin/prometheus; }
standin_alertmanager() {
  import_standin "$1" "$("$root/scripts/get-prometheus")/alertmanager" /bin/alertmanager /usr/share/prometheus/alertmanager/*.tmpl
}

standin_provider() { import_standin "$1" "${CARGO_TARGET_DIR:-$root/target}/debug/scripted-provider" /usr/local/bin/scripted-provider; }

# Debian's package of Redis' tools holds the server under another name; the name it is called by decides.
standin_redis() {
  command -v redis-check-rdb >/dev/null 2>&1 || apt_install redis-tools || return 1
  import_standin "$1" "$(readlink -f "$(command -v redis-check-rdb)")" /usr/local/bin/redis-server "$(command -v redis-cli)"
}
