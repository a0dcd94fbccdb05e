# The story that every way of running Tollgate must tell, in calls from outside.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# To be set after this file is read: where both answer, API keys of the demo tenants, a folder for scratch.
gateway_url=
prometheus_url=
acme_key=
globex_key=
work=

passed=0
failed=0
status=
seen=

# quietly COMMAND...: shows the end of what it wrote only if it fails.
quietly() { "$@" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; return 1; }; }

# expect WHAT COMMAND...: runs one check and prints its result; a failed one with what was `seen` last.
expect() {
  local what="$1"
  shift
  if "$@"; then
    passed=$((passed + 1))
    echo "ok: $what"
  else
    failed=$((failed + 1))
    echo "FAILED: $what"
    printf '%s\n' "$seen" | sed 's/^/  saw: /'
  fi
}

# within SECONDS COMMAND...: tries until it succeeds or the time is over.
within() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.5
  done
}

# call KEY BODY: a chat completion with that API key, or without one if it is empty. Leaves $status, $work/head, $work/body.
call() {
  local credential=()
  [ -z "$1" ] || credential=(--header "authorization: Bearer $1")
  : >"$work/head"
  : >"$work/body"
  status="$(curl --silent --max-time 30 --header 'content-type: application/json' "${credential[@]}" --data "$2" \
    --dump-header "$work/head" --output "$work/body" --write-out '%{http_code}' "$gateway_url/v1/chat/completions")" || true
  seen="$(cat "$work/head" "$work/body" | tr -d '\r' | head -c 2000)"
}

# header NAME: its value in the last answer.
header() { tr -d '\r' <"$work/head" | sed -n "s/^$1: *//Ip" | tail -n 1; }

# json EXPRESSION FILE: a Python expression of the JSON value `it`; fails where it does not apply.
json() { python3 -c 'import json, sys; it = json.load(open(sys.argv[2])); print(eval(sys.argv[1]))' "$1" "$2" 2>/dev/null; }

# openai_error STATUS: the last answer refuses with it, as OpenAI would.
openai_error() {
  [ "$status" = "$1" ] && [[ "$(header content-type)" == application/json* ]] &&
    json 'it["error"]["message"] and it["error"]["type"] and it["error"]["code"] or 1/0' "$work/body" >/dev/null
}

# chat MODEL WORDS [MORE]: the body of a call.
chat() { printf '{"model":"%s","messages":[{"role":"user","content":"%s"}]%s}' "$1" "$2" "${3:-}"; }

answers() { call "$1" "$2" && [ "$status" = 200 ] && json 'it["choices"][0]["message"]["content"] or 1/0' "$work/body" >/dev/null; }

refuses_strangers() { call '' "$(chat gpt-4.1 Hello)" && openai_error 401; }

# Each gateway has a cache of its own.
answers_from_cache() { answers "$acme_key" "$(chat gpt-4.1 Hello)" && [ "$(header x-gateway-cache)" = hit ]; }

# A model that no other call of the story names: its tokens are those of this stream.
stream_model=gpt-4.1-mini

streams() {
  call "$acme_key" "$(chat "$stream_model" Stream ',"stream":true,"stream_options":{"include_usage":true}')"
  [ "$status" = 200 ] && [[ "$(header content-type)" == text/event-stream* ]] || return 1
  sed -n 's/^data: *\({.*"usage": *{.*\)/\1/p' "$work/body" | tail -n 1 >"$work/usage"
  grep -q '^data: *\[DONE\]' "$work/body" && [ "$(json 'it["usage"]["completion_tokens"] > 0' "$work/usage")" = True ]
}

# counted TYPE: how many tokens of that type of the stream's model Prometheus has.
counted() {
  curl --silent --max-time 5 --get "$prometheus_url/api/v1/query" --output "$work/answer" \
    --data-urlencode "query=sum(gateway_tokens_total{model=\"$stream_model\",type=\"$1\"})" || true
  json 'int(it["data"]["result"][0]["value"][1])' "$work/answer"
}

# tokens_counted: Prometheus has as many tokens as the stream's own usage says.
tokens_counted() {
  local counted reported
  reported="$(json '"%d input, %d output" % (it["usage"]["prompt_tokens"], it["usage"]["completion_tokens"])' "$work/usage")"
  counted="$(counted input) input, $(counted output) output"
  seen="Prometheus has $counted; the stream says $reported"
  [ "$counted" = "$reported" ]
}

# asked PATH EXPRESSION: what Prometheus says at a path of its API, as a Python expression of it.
asked() {
  curl --silent --max-time 5 --output "$work/answer" "$prometheus_url/api/v1/$1" || true
  seen="$(head -c 2000 "$work/answer" 2>/dev/null)"
  json "$2" "$work/answer"
}

# watched: every gateway that Prometheus knows is scraped, and there is one.
watched() { [ "$(asked targets 'sorted({(t["labels"]["job"], t["health"]) for t in it["data"]["activeTargets"]})')" = "[('gateway', 'up')]" ]; }

# rules_loaded: all rules are there and can be evaluated.
rules_loaded() {
  local expected
  expected="$(grep -cE '^ *- (alert|record):' "$root"/envoy/prometheus/rules/*.yml | awk -F: '{n += $2} END {print n}')"
  [ "$(asked rules '(lambda r: (len(r), {x["health"] for x in r}))([x for g in it["data"]["groups"] for x in g["rules"]])')" = "($expected, {'ok'})" ]
}

# alertmanager_known: Prometheus has somebody to send alerts to.
alertmanager_known() { [ "$(asked alertmanagers 'len(it["data"]["activeAlertmanagers"])')" = 1 ]; }

# alert_seen NAME: it is pending or firing.
alert_seen() { [ "$(asked alerts "any(a['labels']['alertname'] == '$1' for a in it['data']['alerts'])")" = True ]; }

calls_pid=

# start_calls: calls go on in the background until `stop_calls`.
start_calls() {
  python3 "$root/scripts/lib/calls.py" "$gateway_url" "$acme_key" >"$work/calls" &
  calls_pid=$!
}

# stop_calls: ends them. What came of them is in $work/calls and seen.
stop_calls() {
  kill "$calls_pid" 2>/dev/null || true
  wait "$calls_pid" || true
  calls_pid=
  seen="$(cat "$work/calls")"
}

# none_failed: of the calls until now none did, and enough were made to tell. Those that a gateway took with it are counted apart:
# no more than can have been under way.
none_failed() {
  stop_calls
  say "  $seen"
  [ "$(json 'it["calls"] >= 50 and not it["failed"] and it["cut"] <= 20' "$work/calls")" = True ]
}

# none_failed_or_cut: the same where no gateway was killed.
none_failed_or_cut() { none_failed && [ "$(json 'it["cut"]' "$work/calls")" = 0 ]; }

limits() {
  call "$globex_key" "$(chat gpt-4.1 Hello ',"max_tokens":5000')"
  openai_error 429 && [[ "$(header retry-after)" =~ ^[0-9]+$ ]]
}

# tell_story: what needs no hand on the machinery.
tell_story() {
  expect "without a key: 401 in OpenAI's JSON" refuses_strangers
  expect "with a key: 200 and an answer" answers "$acme_key" "$(chat gpt-4.1 Hello)"
  expect "the same call again: x-gateway-cache: hit" within 10 answers_from_cache
  expect "a streamed call: text/event-stream with its usage" streams
  expect "its tokens stand in Prometheus" within 60 tokens_counted
  expect "Prometheus scrapes the gateway" within 60 watched
  expect "it evaluates all rules" within 60 rules_loaded
  expect "it knows an Alertmanager" within 60 alertmanager_known
  expect "a tenant beyond its budget: 429 with retry-after" limits
}
