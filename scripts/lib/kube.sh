# A cluster to try envoy/kubernetes/overlays/test in: its namespace, volumes, secrets, and ways to look at it.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/story.sh"

# To be set after this file is read: a folder of demo secrets.
demo=

namespace=tollgate-test
# Folder of the kustomization that is applied: the test overlay and what this cluster wants of it.
overlay="$root/.run/kubernetes"
# Ports of this machine that lead into the cluster, and who holds them open.
forwards=()
local_ports=()

k() { kubectl --namespace "$namespace" "$@"; }

# nodes_outside ZONE: nodes that can be used and are in another one; all if ZONE is empty.
nodes_outside() { kubectl get nodes --selector "${1:+topology.kubernetes.io/zone!=$1}" --field-selector spec.unschedulable=false --output name | sed 's|^node/||'; }

# zones: how many there are.
zones() { kubectl get nodes --output jsonpath='{range .items[*]}{.metadata.labels.topology\.kubernetes\.io/zone}{"\n"}{end}' | sort -u | grep -c .; }

# make_namespace: a new one, in which Kubernetes itself refuses any pod that is not hardened.
make_namespace() {
  quietly kubectl delete namespace "$namespace" --ignore-not-found --wait --timeout 120s || die "the namespace $namespace of an earlier run cannot be deleted: see above"
  delete_volumes
  quietly kubectl create namespace "$namespace" || die "no namespace can be made here: see above"
  quietly kubectl label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted
}

default_storage_class() { kubectl get storageclass --output jsonpath='{range .items[*]}{.metadata.annotations.storageclass\.kubernetes\.io/is-default-class}{"\n"}{end}' 2>/dev/null | grep -q true; }

# make_volumes: where the cluster has no StorageClass, folders of LOCAL_VOLUMES on one of its nodes, which is this machine.
make_volumes() {
  local node claim
  default_storage_class && return
  [ -n "${LOCAL_VOLUMES:-}" ] || return 1
  node="$(nodes_outside "${LOST_ZONE:-}" | head -n 1)"
  for claim in data-redis-0 redis-backups; do
    mkdir -p "$LOCAL_VOLUMES/$namespace/$claim"
    kubectl apply --filename - >/dev/null <<YAML
apiVersion: v1
kind: PersistentVolume
metadata: {name: $namespace-$claim}
spec:
  capacity: {storage: 8Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  claimRef: {namespace: $namespace, name: $claim}
  local: {path: $LOCAL_VOLUMES/$namespace/$claim}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$node]}]}]}}
YAML
  done
}

delete_volumes() {
  [ -n "${LOCAL_VOLUMES:-}" ] || return 0
  quietly kubectl delete persistentvolume "$namespace-data-redis-0" "$namespace-redis-backups" --ignore-not-found --wait --timeout 60s || true
  rm -rf "${LOCAL_VOLUMES:?}/$namespace"
}

# put_secret NAME ARGUMENTS...: makes it or replaces what it holds, with arguments of `kubectl create secret generic`.
put_secret() {
  local name="$1"
  shift
  k create secret generic "$name" "$@" --dry-run=client --output yaml | k apply --filename - >/dev/null
}

# put_api_keys FILE: the list of API keys, beside the key set of the demo issuer.
put_api_keys() { put_secret api-gateway-credentials --from-literal=TOLLGATE_API_KEYS="$(tr -d '\n' <"$1")" --from-literal=TOLLGATE_JWKS="$(tr -d '\n' <"$demo/jwks.json")"; }

put_provider_key() { put_secret api-gateway-provider-keys --from-file=provider-key.yaml="$1"; }

# apply_overlay: everything. What counts the calls and what they want stays out of the zone that will be lost.
apply_overlay() {
  install -d "$overlay"
  {
    printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../../envoy/kubernetes/overlays/test]\nnamespace: %s\n' "$namespace"
    [ -z "${LOST_ZONE:-}" ] || cat <<YAML
patches:
- target: {group: apps, name: caller|load|provider|redis}
  patch: |
    - op: add
      path: /spec/template/spec/affinity
      value: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: topology.kubernetes.io/zone, operator: NotIn, values: ["$LOST_ZONE"]}]}]}}}
YAML
  } >"$overlay/kustomization.yaml"
  quietly kubectl apply --kustomize "$overlay" || die "the overlay cannot be applied: see above"
}

# forward WHAT PORT...: opens ports of this machine that lead to those of a pod or service; they are then in `local_ports`.
forward() {
  local what="$1" log="$work/forward.${#forwards[@]}"
  shift
  # Not by `k`: the process that is ended later must be kubectl itself.
  kubectl --namespace "$namespace" port-forward "$what" "${@/#/:}" >"$log" 2>&1 &
  forwards+=($!)
  for _ in $(seq 100); do
    mapfile -t local_ports < <(sed -n 's/^Forwarding from 127\.0\.0\.1:\([0-9]*\) .*/\1/p' "$log")
    [ ${#local_ports[@]} -lt $# ] || return 0
    sleep 0.1
  done
  seen="no way to $what: $(tail -n 3 "$log")"
  return 1
}

stop_forwards() {
  local pid
  for pid in "${forwards[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done
  forwards=()
}

# gateways: the pods that are there and do not end; names only.
gateways() { k get pods --selector app=api-gateway --output go-template='{{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}}{{"\n"}}{{end}}{{end}}'; }

# identities: what is another when a pod was replaced or restarted.
identities() { k get pods --selector app=api-gateway --output jsonpath='{range .items[*]}{.metadata.uid}{" "}{.status.containerStatuses[*].restartCount}{"\n"}{end}' | sort; }

# settled: as many gateways as wanted, all of the newest revision and ready, and none that still ends.
settled() {
  seen="$(k get pods --selector app=api-gateway --output wide 2>&1)"
  k rollout status deployment/api-gateway --timeout 1s >/dev/null 2>&1 &&
    [ "$(k get pods --selector app=api-gateway --output name | wc -l)" = "$(k get deployment api-gateway --output jsonpath='{.status.readyReplicas}')" ]
}

replicas() { k get deployment api-gateway --output jsonpath='{.spec.replicas}'; }

# look_again: has the kubelets look at ConfigMaps and Secrets now. By themselves they do within a minute or two.
look_again() { k annotate pods --selector app=api-gateway --overwrite "looked-at=$(date +%s%N)" >/dev/null; }

# zones_used: a line for each zone that has a ready gateway: how many, and its name. Of a lost node's pods nobody hears that they
# are not ready, but they are told to end.
# shellcheck disable=SC2016 # $pod is the template's
zones_used() {
  local node
  k get pods --selector app=api-gateway --output go-template='{{range $pod := .items}}{{if not .metadata.deletionTimestamp}}{{range .status.conditions}}{{if and (eq .type "Ready") (eq .status "True")}}{{$pod.spec.nodeName}}{{"\n"}}{{end}}{{end}}{{end}}{{end}}' | while read -r node; do
    kubectl get node "$node" --output jsonpath='{.metadata.labels.topology\.kubernetes\.io/zone}{"\n"}'
  done | sort | uniq -c
}
