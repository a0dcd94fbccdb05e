# Shared by the benches: builds what they run, then runs one.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# bench FILE ARGUMENT...: a module of tests/bench. Does not return.
bench() {
  need cargo "install Rust from https://rustup.rs"
  need wrk "install wrk (Debian: apt-get install wrk)"
  cd "$root"
  scripts/build-wasm
  local envoy python module="$1"
  shift
  envoy="$(scripts/get-envoy)"
  python="$(python_env)"
  say "building the scripted provider with optimisation"
  cargo build --quiet --locked --profile tools --package tollgate-tests --bins
  exec "$python" "tests/bench/$module" --envoy "$envoy" --tools "${CARGO_TARGET_DIR:-$root/target}/tools" --out .cache/bench "$@"
}
