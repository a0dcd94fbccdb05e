# The images that envoy/kubernetes/overlays/test names: built or pulled, or their stand-ins, and brought to the cluster.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
. "$root/scripts/lib/standin-images.sh"

kube_version="$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)"
gateway_image="tollgate-gateway:$kube_version"
# The same but for a label: another digest, and so another image.
next_image="tollgate-gateway:$kube_version-next"
provider_image="tollgate-provider:$kube_version"
redis_image="$(sed -n 's/^ *image: *\(redis:.*\)/\1/p' "$root/envoy/kubernetes/components/redis/redis.yaml")"

# make_kube_images: all of them in the local engine.
make_kube_images() {
  provide_image "envoyproxy/envoy:v$(dockerfile_version)" standin_envoy
  provide_image "$redis_image" standin_redis_with_shell
  say "building $gateway_image, $next_image and $provider_image"
  build_gateway "$gateway_image"
  printf 'FROM %s\nLABEL tollgate.next=1\n' "$gateway_image" | quietly docker build --tag "$next_image" - || die "$next_image does not build: see above"
  build_provider "$provider_image"
}

# standin_redis_with_shell IMAGE: Debian's Redis, and of its tools those that the scripts of components/redis use.
standin_redis_with_shell() {
  local files=() name
  command -v redis-server >/dev/null || apt_install redis-server redis-tools || return 1
  for name in cat cp date find grep head mkdir mv rm seq sleep sort tail timeout tr redis-cli redis-check-rdb; do files+=("$(command -v "$name")"); done
  import_standin "$1" "$(command -v redis-server)" /usr/bin/redis-server /bin/sh "${files[@]}"
}

# load_images IMAGE...: into the cluster's nodes, by LOAD_IMAGES or, in a cluster of kind, by kind.
load_images() {
  local context load=()
  read -ra load <<<"${LOAD_IMAGES:-}"
  if [ ${#load[@]} = 0 ]; then
    context="$(kubectl config current-context)"
    [[ "$context" == kind-* ]] || { say "no LOAD_IMAGES and no cluster of kind: the nodes are taken to have the images"; return; }
    load=(kind load docker-image --name "${context#kind-}")
  fi
  say "loading the images: ${load[*]}"
  quietly "${load[@]}" "$@" || die "${load[*]} does not load the images: see above"
}
