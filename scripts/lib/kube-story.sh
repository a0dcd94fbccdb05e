# What scripts/test-kubernetes asks of a gateway in a cluster: checks for `expect`, which leave in `seen` what they saw.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/kube.sh"

# To be set after this file is read: /metrics of the gateway, where the provider answers, and what `identities` said before.
metrics_url=
provider_url=
identities_before=

# Calls of the steady stream: how many there were, how many were answered well.
calls=0
well=0

# read_counts: from the caller's own files; logs may be gone.
read_counts() {
  local line
  calls=0 well=0
  # shellcheck disable=SC2016
  while read -r line; do
    [[ "$line" =~ calls=([0-9]+) ]] && calls=$((calls + BASH_REMATCH[1]))
    [[ "$line" =~ \ 200=([0-9]+) ]] && well=$((well + BASH_REMATCH[1]))
  done < <(k exec deployment/caller -- /bin/bash -c 'echo "$(</counts/fresh)"; echo "$(</counts/kept)"' 2>/dev/null)
  [ "$calls" -gt 0 ]
}

# begin_counting, none_failed: between them every call of the stream was answered with 200, and there were many.
begin_counting() {
  within 20 read_counts || true
  calls_before="$calls" well_before="$well"
}

none_failed() {
  local made failed_calls
  sleep 1.5
  read_counts || { seen="the caller does not say what it counted"; return 1; }
  made=$((calls - calls_before)) failed_calls=$((calls - well - calls_before + well_before))
  # shellcheck disable=SC2016
  seen="$failed_calls of $made calls failed. The last: $(k exec deployment/caller -- /bin/bash -c 'mapfile -t l </counts/failures; printf "%s\n" "${l[@]: -8}"' 2>&1)"
  say "  $made calls, $failed_calls failed"
  [ "$made" -ge 100 ] && [ "$failed_calls" = 0 ]
}

all_zones() {
  seen="zones: $(zones)
$(zones_used)"
  [ "$(zones_used | awk '$1 == 1' | wc -l)" = 3 ]
}

# calls_pass: the stream through the Service's name in DNS.
calls_pass() {
  begin_counting
  sleep 4
  read_counts
  seen="$((calls - calls_before)) calls, $((well - well_before)) answered"
  [ "$calls" -gt "$calls_before" ] && [ $((calls - calls_before)) = $((well - well_before)) ]
}

# counted_here: /metrics knows the answers, the hit, and both refusals of this story.
counted_here() {
  curl --silent --max-time 5 --output "$work/metrics" "$metrics_url" || true
  seen="$(grep -E '^gateway_(requests|auth|cache|budget)_total' "$work/metrics" | head -n 20)"
  grep -E '^gateway_requests_total\{' "$work/metrics" | grep -q 'status="200"' && grep -E '^gateway_cache_total\{' "$work/metrics" | grep -q 'result="hit"' &&
    grep -E '^gateway_auth_total\{' "$work/metrics" | grep -q 'result="denied"' && grep -E '^gateway_budget_total\{' "$work/metrics" | grep -q 'decision="denied"'
}

# in_each_gateway COMMAND...: succeeds in each, with `gateway_url` and `metrics_url` leading there.
in_each_gateway() {
  local pod before_gateway="$gateway_url" before_metrics="$metrics_url" code=0
  for pod in $(gateways); do
    forward "pod/$pod" 8080 9902 || return 1
    gateway_url="http://127.0.0.1:${local_ports[0]}" metrics_url="http://127.0.0.1:${local_ports[1]}/metrics"
    "$@" || { seen="$pod: $seen"; code=1; break; }
  done
  stop_forwards
  gateway_url="$before_gateway" metrics_url="$before_metrics"
  return "$code"
}

# push_budget OLD NEW: replaces words in the filter's configuration that all gateways have.
push_budget() {
  k get configmap gateway-dynamic --output jsonpath='{.data.budget\.yaml}' >"$work/budget.yaml"
  grep -qF "$1" "$work/budget.yaml" || { seen="the configuration of budget lacks $1"; return 1; }
  python3 - "$work/budget.yaml" "$1" "$2" >"$work/patch.json" <<'PYTHON'
import json, sys
text = open(sys.argv[1]).read().replace(sys.argv[2], sys.argv[3])
json.dump({"data": {"budget.yaml": text}}, sys.stdout)
PYTHON
  quietly k patch configmap gateway-dynamic --patch-file "$work/patch.json" && look_again
}

# A call that globex cannot afford as the configuration is committed.
dear() { call "$globex_key" "$(chat gpt-4.1 'Dear' ',"max_tokens":5000')"; }
dear_refused() { dear && openai_error 429; }
dear_allowed() { dear && [ "$status" = 200 ]; }

# push_refused: Envoy counted it.
push_refused() {
  curl --silent --max-time 5 --output "$work/metrics" "$metrics_url" || true
  seen="$(grep -E 'tollgate.budget.*(update_rejected|config_fail)|budget.*update_rejected' "$work/metrics" | head -n 5)"
  grep -E '^envoy_extension_config_discovery_.*update_rejected' "$work/metrics" | grep budget | grep -qE ' [1-9][0-9]*$'
}

same_pods() {
  seen="before: $identities_before
now: $(identities)"
  [ "$(identities)" = "$identities_before" ]
}

# evicted POD, held_back POD: what the eviction API says.
evict() {
  seen="$(printf '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"%s","namespace":"%s"}}' "$1" "$namespace" |
    kubectl create --raw "/api/v1/namespaces/$namespace/pods/$1/eviction" --filename - 2>&1)"
}
evicted() { evict "$1"; }
held_back() { ! evict "$1" && [[ "$seen" == *"disruption budget"* ]]; }

# What the HPA did.
more_replicas() { seen="$(k get hpa api-gateway 2>&1; k top pods 2>&1)"; [ "$(replicas)" -gt 3 ]; }
three_replicas() { seen="$(k get hpa api-gateway 2>&1; k top pods 2>&1)"; [ "$(replicas)" = 3 ]; }

# provider_was_sent KEY: with a call that no cache has.
provider_was_sent() {
  call "$acme_key" "$(chat gpt-4.1 "Key? $RANDOM$RANDOM")" || true
  curl --silent --max-time 5 --output "$work/requests" "$provider_url/_requests" || true
  seen="status $status; the provider was sent $(json '{h["value"] for r in (it if isinstance(it, list) else it["requests"])[-3:] for h in r["headers"] if h["name"] == "authorization"}' "$work/requests")"
  [ "$status" = 200 ] && [[ "$seen" == *"'Bearer $1'"* ]]
}

redis() { k exec redis-0 -- redis-cli "$@" 2>&1; }
redis_ready() { seen="$(k get pods --selector app=redis --output wide 2>&1; k get pvc 2>&1)"; [ "$(redis ping)" = PONG ]; }
redis_takes() { seen="set: $(redis set "$1" "$2")"; [ "$seen" = "set: OK" ]; }
redis_has() { seen="$1 is $(redis get "$1")"; [ "$seen" = "$1 is $2" ]; }
redis_empty() { seen="dbsize $(redis dbsize)"; [ "$seen" = "dbsize 0" ]; }
redis_gone() { seen="$(k get pods --selector app=redis 2>&1)"; [ -z "$(k get pods --selector app=redis --output name)" ]; }

ended() { k get job "$1" --output jsonpath='{.status.conditions[*].type}' | grep -qE 'Complete|Failed'; }

# ran CRONJOB: a job of it, to a good end.
ran() {
  local job="$1-$RANDOM"
  seen="$(k create job "$job" --from "cronjob/$1" 2>&1)" || return 1
  within 90 ended "$job" || true
  seen="$(k get job "$job" --output jsonpath='{.status.conditions[*].type}') $(k get pods --selector "job-name=$job" --output jsonpath='{.items[*].status.containerStatuses[*].state.terminated.message}')"
  k get job "$job" --output jsonpath='{.status.conditions[*].type}' | grep -q Complete
}

zone_lost() {
  seen="$(kubectl get nodes --selector "topology.kubernetes.io/zone=$LOST_ZONE" 2>&1)"
  [[ "$seen" == *NotReady* ]]
}
zone_back() {
  seen="$(kubectl get nodes --selector "topology.kubernetes.io/zone=$LOST_ZONE" 2>&1)"
  [[ "$seen" == *Ready* && "$seen" != *NotReady* ]]
}
# three_elsewhere: as many gateways as before, all in other zones.
three_elsewhere() {
  seen="$(k get pods --selector app=api-gateway --output wide 2>&1)"
  [ "$(k get deployment api-gateway --output jsonpath='{.status.readyReplicas}')" -ge 3 ] && ! zones_used | grep -qw "$LOST_ZONE"
}
