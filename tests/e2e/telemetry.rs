//! What a call was reaches an OpenTelemetry collector, in one trace from the client to the provider.

use std::time::Duration;

use serde_json::json;
use tollgate_tests::client::{Answer, Call, MARK, unique};
use tollgate_tests::collector::{Collector, Told};
use tollgate_tests::gateway::{Gateway, Setup, chat_body, merge, wait_until};
use tollgate_tests::{on_both_envoys, on_own_envoys};

const CHAT: &str = "/v1/chat/completions";
/// The client's own span.
const CLIENT: &str = "b7ad6b7169203331";

fn told() -> Setup {
    Setup::default().collector(Collector::start().unwrap())
}

/// A trace that no other call is in.
pub(crate) fn new_trace() -> String {
    let random = unique("").split_off(1);
    format!("{random}{random}")
}

pub(crate) fn traceparent(trace: &str, flags: &str) -> String {
    format!("00-{trace}-{CLIENT}-{flags}")
}

trait Traced {
    fn in_trace(self, trace: &str) -> Self;
}

impl Traced for Call {
    fn in_trace(self, trace: &str) -> Self {
        self.header("traceparent", &traceparent(trace, "01"))
    }
}

/// The one log record of a trace.
async fn log_of(gateway: &Gateway, trace: &str) -> Told {
    let of = || gateway.collector().logs().into_iter().filter(|log| log.trace_id == trace).collect::<Vec<_>>();
    wait_until("the call's log record came", async || !of().is_empty()).await;
    assert_eq!(of().len(), 1, "a call has one log record");
    of().remove(0)
}

/// The spans of a trace, the call's own first, then those of the attempts in their order.
async fn spans_of(gateway: &Gateway, trace: &str, count: usize) -> Vec<Told> {
    let of = || gateway.collector().spans().into_iter().filter(|span| span.trace_id == trace).collect::<Vec<_>>();
    wait_until("the call's spans came", async || of().len() >= count).await;
    let mut spans = of();
    assert_eq!(spans.len(), count, "{spans:#?}");
    spans.sort_by_key(|span| (span.parent_id != CLIENT, span.began));
    spans
}

/// What a log record or a span says; `-` is how Envoy 1.36 says that nobody knows.
fn known<'a>(told: &'a Told, name: &str) -> Option<&'a str> {
    told.get(name).filter(|value| *value != "-")
}

fn assert_told(told: &Told, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(known(told, name), Some(*value), "{name} in {told:#?}");
    }
}

fn assert_untold(told: &Told, names: &[&str]) {
    for name in names {
        assert_eq!(known(told, name), None, "{name} in {told:#?}");
    }
}

/// Whether this Envoy's tags can say what filters left. The sender names its version.
fn spans_tell(span: &Told) -> bool {
    !span.resource["telemetry.sdk.version"].contains("/1.36.")
}

/// What the provider got of the trace.
fn seen_upstream(gateway: &Gateway, answer: &Answer) -> Vec<String> {
    let requests = gateway.upstream_requests(&answer.mark);
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    requests.iter().map(|request| text(request.header("traceparent").unwrap_or_default())).collect()
}

const USED: [(&str, &str); 12] = [
    ("gen_ai.operation.name", "chat"),
    ("gen_ai.provider.name", "openai"),
    ("gen_ai.request.model", "gpt-4.1"),
    ("gen_ai.response.model", "gpt-4.1"),
    ("gen_ai.usage.input_tokens", "2"),
    ("gen_ai.usage.output_tokens", "9"),
    ("gateway.usage.source", "reported"),
    ("gateway.provider", "primary"),
    ("gateway.tenant", "acme"),
    ("gen_ai.response.finish_reasons", "stop"),
    ("gateway.budget.decision", "allowed"),
    // 2 tokens at 2 dollars a million and 9 at 8.
    ("gateway.cost.usd", "0.000076"),
];

on_own_envoys!(a_json_call_and_a_hit_are_told_and_linked_from_client_to_provider, told(), async |gateway| {
    let (trace, body) = (new_trace(), chat_body("12345678"));
    let answer = gateway.post(CHAT, &body).in_trace(&trace).send().await.expect(200);
    let log = log_of(gateway, &trace).await;
    assert_told(&log, &USED);
    let request_id = answer.header("x-request-id").unwrap().to_owned();
    assert_told(
        &log,
        &[
            ("gateway.request_id", &request_id),
            ("gateway.cache", "miss"),
            ("gateway.attempts", "primary=200"),
            ("url.path", CHAT),
            ("http.response.status_code", "200"),
        ],
    );
    let absent =
        ["error.type", "gateway.reply", "gen_ai.usage.cache_read.input_tokens", "gateway.time_to_first_token"];
    assert_untold(&log, &absent);
    let spans = spans_of(gateway, &trace, 2).await;
    let (call, attempt) = (&spans[0], &spans[1]);
    assert_eq!((call.parent_id.as_str(), attempt.parent_id.as_str()), (CLIENT, call.span_id.as_str()));
    assert_eq!(log.span_id, call.span_id);
    assert_eq!(seen_upstream(gateway, &answer), [format!("00-{trace}-{}-01", attempt.span_id)]);
    if spans_tell(call) {
        assert_told(call, &USED);
        assert_untold(call, &["error.type", "gateway.reply"]);
    }

    let trace = new_trace();
    let hit = gateway.post(CHAT, &body).in_trace(&trace).send().await.expect(200);
    assert_eq!(hit.header("x-gateway-cache"), Some("hit"));
    let log = log_of(gateway, &trace).await;
    assert_told(&log, &[("gateway.cache", "hit"), ("gateway.reply", "cache"), ("gen_ai.response.model", "gpt-4.1")]);
    assert_untold(&log, &["gen_ai.usage.input_tokens", "gateway.cost.usd", "gateway.provider", "gateway.attempts"]);
    spans_of(gateway, &trace, 1).await;
});

on_both_envoys!(a_stream_is_told_by_its_end, told(), async |gateway| {
    let (trace, mut body) = (new_trace(), chat_body("12345678"));
    merge(&mut body, &json!({"stream": true, "user": unique("user")}));
    gateway.post(CHAT, &body).in_trace(&trace).told("delay-ms", 200).send().await.expect(200);
    let log = log_of(gateway, &trace).await;
    assert_told(&log, &USED);
    let first: f64 = known(&log, "gateway.time_to_first_token").unwrap().parse().unwrap();
    let whole: f64 = known(&log, "gateway.duration_ms").unwrap().parse().unwrap();
    assert!((0.2..=whole / 1_000.0).contains(&first), "{first} s of {whole} ms");
    let spans = spans_of(gateway, &trace, 2).await;
    if spans_tell(&spans[0]) {
        assert_told(&spans[0], &USED);
    }
});

on_both_envoys!(refusals_are_told_with_who_refused_and_no_provider, told(), async |gateway| {
    let mut large = chat_body("12345678");
    merge(&mut large, &json!({"max_tokens": 5_000}));
    let url = gateway.url(CHAT);
    for (call, status, filter, tenant) in [
        (Call::post(&url, &large), 401, "auth", None),
        (gateway.post_as("globex", CHAT, &large), 429, "budget", Some("globex")),
    ] {
        let denied = (status == 429).then_some("denied tokens-per-minute");
        let trace = new_trace();
        call.in_trace(&trace).send().await.expect(status);
        let log = log_of(gateway, &trace).await;
        let status = status.to_string();
        assert_told(&log, &[("error.type", &status), ("gateway.reply", filter), ("gen_ai.operation.name", "chat")]);
        assert_eq!(known(&log, "gateway.tenant"), tenant);
        assert_eq!(known(&log, "gateway.budget.decision"), denied);
        assert_untold(&log, &["gen_ai.usage.input_tokens", "gateway.provider", "gen_ai.response.model"]);
        let spans = spans_of(gateway, &trace, 1).await;
        assert_told(&spans[0], &[("http.status_code", &status)]);
    }
});

/// Two providers, of which the first is asked first.
fn two() -> Setup {
    told().providers_with(|config| {
        config["providers"]["backup"] = config["providers"]["primary"].clone();
        config["pools"]["default"]["priorities"] = json!([["primary"], ["backup"]]);
    })
}

on_both_envoys!(each_attempt_is_a_span_and_the_record_names_who_answered, two(), async |gateway| {
    let trace = new_trace();
    let call = gateway.chat(&unique("prompt")).in_trace(&trace).header("x-provider-status.primary", "503");
    let answer = call.send().await.expect(200);
    let log = log_of(gateway, &trace).await;
    assert_told(&log, &[("gateway.attempts", "primary=503 backup=200"), ("gateway.provider", "backup")]);
    assert_untold(&log, &["error.type"]);
    let spans = spans_of(gateway, &trace, 3).await;
    let [call, first, second] = &spans[..] else { panic!("counted above") };
    assert!(first.parent_id == call.span_id && second.parent_id == call.span_id);
    let expected = [first, second].map(|span| format!("00-{trace}-{}-01", span.span_id));
    assert_eq!(seen_upstream(gateway, &answer), expected, "each provider's span hangs below its attempt");
});

on_both_envoys!(a_call_that_its_client_left_is_told_with_what_passed, told(), async |gateway| {
    let trace = new_trace();
    let call = gateway.chat_stream(&unique("prompt")).in_trace(&trace).told("chunk-delay-ms", 100).told("words", 200);
    let mut stream = call.open().await;
    stream.read_until("content").await;
    drop(stream);
    let log = log_of(gateway, &trace).await;
    assert_told(
        &log,
        &[
            ("error.type", "downstream_remote_disconnect"),
            ("gateway.usage.source", "estimated"),
            ("gateway.provider", "primary"),
            ("gateway.response_flags", "DC"),
        ],
    );
    assert!(known(&log, "gen_ai.usage.input_tokens").is_some(), "{log:#?}");
    let spans = spans_of(gateway, &trace, 2).await;
    assert_told(&spans[0], &[("response_flags", "DC")]);
    if spans_tell(&spans[0]) {
        assert_told(&spans[0], &[("gen_ai.request.model", "gpt-4.1"), ("gateway.tenant", "acme")]);
    }
});

on_both_envoys!(who_began_the_trace_decides_whether_it_is_recorded, told(), async |gateway| {
    let unsampled = new_trace();
    let call = gateway.chat(&unique("prompt")).header("traceparent", &traceparent(&unsampled, "00"));
    let answer = call.send().await.expect(200);
    assert_told(&log_of(gateway, &unsampled).await, &[("http.response.status_code", "200")]);
    let seen = seen_upstream(gateway, &answer);
    assert!(seen[0].starts_with(&format!("00-{unsampled}-")) && seen[0].ends_with("-00"), "{seen:?}");

    // Without a trace of the client's, the gateway begins one. Spans are sent in order, so those before are there as well.
    let answer = gateway.chat(&unique("prompt")).send().await.expect(200);
    let seen = seen_upstream(gateway, &answer).remove(0);
    let begun = seen.split('-').nth(1).unwrap().to_owned();
    let spans = || gateway.collector().spans();
    wait_until("the gateway's own trace came", async || spans().iter().any(|span| span.trace_id == begun)).await;
    assert!(spans().iter().any(|span| span.trace_id == begun && span.parent_id.is_empty()));
    assert!(!spans().iter().any(|span| span.trace_id == unsampled));
});

on_both_envoys!(
    of_calls_without_a_trace_the_configured_share_is_recorded,
    told().sampled_by_callers(),
    async |gateway| {
        let answer = gateway.chat(&unique("prompt")).send().await.expect(200);
        let seen = seen_upstream(gateway, &answer).remove(0);
        assert!(seen.ends_with("-00"), "{seen}");
        let trace = new_trace();
        let answer = gateway.chat(&unique("prompt")).in_trace(&trace).send().await.expect(200);
        assert!(seen_upstream(gateway, &answer)[0].ends_with("-01"), "who began the trace wants it recorded");
        spans_of(gateway, &trace, 2).await;
        let begun = seen.split('-').nth(1).unwrap();
        assert!(!gateway.collector().spans().iter().any(|span| span.trace_id == begun));
    }
);

on_own_envoys!(
    a_collector_that_is_away_costs_no_call,
    Setup::default().collector(Collector::nowhere().unwrap()),
    async |gateway| {
        for _ in 0..50 {
            let answer = gateway.chat(&unique("prompt")).told("delay-ms", 1).send().await.expect(200);
            assert!(answer.is_whole && !gateway.upstream_request(&answer.mark).header(MARK).unwrap().is_empty());
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        gateway.chat(&unique("prompt")).send().await.expect(200);
    }
);
