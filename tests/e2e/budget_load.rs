//! Calls of several tenants of which most are killed somewhere: by their client, by the provider, by the gateway's patience.
//! Everything is drawn from one seed; a failed check names it, though what meets what is up to the machine.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollgate_tests::client::raw::{RawClient, chunk, post_chunked};
use tollgate_tests::client::{Answer, Call, unique};
use tollgate_tests::gateway::{Gateway, merge};

/// Who calls. The last one has little to spend.
pub(crate) const TENANTS: [&str; 3] = ["faulty-a", "faulty-b", "faulty-c"];
/// Longest answer.
const WORDS: u64 = 60;

/// What the access log says of a call.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) tenant: String,
    pub(crate) status: u64,
    /// Whether a filter or the cache answered.
    is_ours: bool,
    pub(crate) input: u64,
    pub(crate) output: u64,
}

impl Record {
    /// Whether the provider answered with a success.
    pub(crate) fn is_answered(&self) -> bool {
        !self.is_ours && (200..300).contains(&self.status)
    }
}

/// All records of model calls, by request id.
pub(crate) fn records(gateway: &Gateway) -> HashMap<String, Record> {
    let log = gateway.envoy.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let calls = lines.filter(|line| line["path"].as_str().is_some_and(|path| path.starts_with("/v1/")));
    let records = calls.filter_map(|line| {
        let within = |field: &str| line[field].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let usage = within("usage").unwrap_or_default();
        let record = Record {
            tenant: within("identity")?["tenant"].as_str()?.to_owned(),
            status: line["status"].as_u64()?,
            is_ours: line["reply"].is_string() || line["cache"] == "hit",
            input: usage["input"].as_u64().unwrap_or(0),
            output: usage["output"].as_u64().unwrap_or(0),
        };
        Some((line["request_id"].as_str()?.to_owned(), record))
    });
    records.collect()
}

/// What a client knows of a call that it waited for.
#[derive(Debug)]
struct Outcome {
    request_id: String,
    status: u16,
    is_hit: bool,
    is_whole: bool,
    /// What the client got, in words of the provider's.
    got: u64,
    input: u64,
    words: u64,
}

/// Words that an answer of any kind holds.
fn words_of(answer: &Answer) -> u64 {
    let is_stream = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
    let texts = |value: &Value| -> String {
        let places = ["/choices/0/delta/content", "/choices/0/message/content", "/delta/text", "/content/0/text"];
        places.iter().filter_map(|place| value.pointer(place)?.as_str()).collect()
    };
    let text: String = if is_stream {
        let parsed = answer.events().into_iter().filter_map(|event| serde_json::from_str(&event).ok());
        parsed.map(|event: Value| texts(&event)).collect()
    } else {
        serde_json::from_slice(&answer.body).map(|body| texts(&body)).unwrap_or_default()
    };
    text.split_whitespace().count() as u64
}

/// A seeded load, until its time is over.
pub(crate) struct Load {
    seed: u64,
    random: RefCell<fastrand::Rng>,
    end: Instant,
    /// Calls after which it may end at `end`; else it goes on for [`LONGER`].
    enough: usize,
    outcomes: RefCell<Vec<Outcome>>,
}

/// A slow machine takes longer to see everything happen.
const LONGER: Duration = Duration::from_secs(15);

/// How a call is asked for.
struct Asked {
    call: Call,
    input: u64,
    words: u64,
}

impl Load {
    pub(crate) fn until(end: Instant) -> Self {
        let seed = std::env::var("TOLLGATE_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
        let random = RefCell::new(fastrand::Rng::with_seed(seed));
        Self { seed, random, end, enough: 0, outcomes: RefCell::default() }
    }

    /// The same, but so many clients have waited for their answer.
    pub(crate) fn at_least(self, enough: usize) -> Self {
        Self { enough, ..self }
    }

    pub(crate) fn goes_on(&self) -> bool {
        let now = Instant::now();
        now < self.end || (self.outcomes.borrow().len() < self.enough && now < self.end + LONGER)
    }

    fn below(&self, end: u64) -> u64 {
        self.random.borrow_mut().u64(..end)
    }

    /// One call to whatever end.
    pub(crate) async fn call(&self, gateway: &Gateway) {
        let tenant = TENANTS[self.below(3) as usize];
        match self.below(12) {
            0 => return self.leave_in_the_middle_of_the_body(gateway, tenant).await,
            1 => {
                let call = self.asked(gateway, tenant).call.told("delay-ms", 300);
                let patience = Duration::from_millis(self.below(200));
                // Both what came in time and what did not is dropped.
                let _: Result<_, _> = tokio::time::timeout(patience, call.try_open()).await;
                return;
            }
            2 => {
                let call = self.asked(gateway, tenant).call.told("chunk-delay-ms", 10);
                let Some(mut answer) = call.try_open().await else { return };
                for _ in 0..self.below(10) {
                    answer.chunk().await;
                }
                return;
            }
            _ => {}
        }
        let Asked { call, input, words } = self.asked(gateway, tenant);
        let call = match self.below(12) {
            0 => call.told("status", [400, 429, 500, 503][self.below(4) as usize]),
            1 => call.told("reset", 1),
            2 => call.told("cut-after", 1 + self.below(30)).told("chunk-delay-ms", 2),
            // Past the route's timeout: before the head, and in the middle.
            3 => call.told("delay-ms", 2_000),
            4 => call.told("chunk-delay-ms", 50),
            _ => call
                .told("chunk-delay-ms", self.below(4))
                .told("delay-ms", self.below(60))
                .told("trailers", self.below(2)),
        };
        let Some(answer) = call.try_open().await else { return };
        let answer = answer.rest().await;
        let Some(request_id) = answer.header("x-request-id").map(str::to_owned) else { return };
        self.outcomes.borrow_mut().push(Outcome {
            request_id,
            status: answer.status,
            is_hit: answer.header("x-gateway-cache") == Some("hit"),
            is_whole: answer.is_whole,
            got: words_of(&answer),
            input,
            words,
        });
    }

    /// A call of any kind; one in six asks what was asked before.
    fn asked(&self, gateway: &Gateway, tenant: &str) -> Asked {
        let again = self.below(6) == 0;
        let prompt = if again { format!("Question number {}?", self.below(4)) } else { unique("Question") };
        let words = if again { 20 } else { 1 + self.below(WORDS) };
        let mut body = json!({
            "model": "gpt-4.1", "max_tokens": WORDS, "messages": [{"role": "user", "content": prompt}],
            "stream": self.below(3) > 0,
        });
        let path = match self.below(3) {
            0 => {
                merge(&mut body, &json!({"model": "claude-sonnet-4-5"}));
                "/v1/messages"
            }
            1 if body["stream"] == true => {
                merge(&mut body, &json!({"stream_options": {"include_usage": true}}));
                "/v1/chat/completions"
            }
            _ => "/v1/chat/completions",
        };
        let call = gateway.post_by(tenant, path, &body).told("words", words);
        Asked { call, input: prompt.len() as u64 / 4, words }
    }

    async fn leave_in_the_middle_of_the_body(&self, gateway: &Gateway, tenant: &str) {
        let bearer = format!("authorization: Bearer {}", gateway.token(tenant));
        let mut client = RawClient::connect(gateway.envoy.gateway()).await;
        client.write(&post_chunked("/v1/chat/completions", &[bearer.as_bytes()])).await;
        client.write(&chunk(b"{\"model\":\"gpt-4.1\",")).await;
        tokio::time::sleep(Duration::from_millis(self.below(30))).await;
    }

    /// Whether the log knows every call that its client waited for.
    pub(crate) fn is_recorded(&self, records: &HashMap<String, Record>) -> bool {
        self.outcomes.borrow().iter().all(|outcome| records.contains_key(&outcome.request_id))
    }

    /// Fails unless the log says of every call what its client and the provider know.
    pub(crate) fn check(&self, records: &HashMap<String, Record>) {
        let (outcomes, seed) = (self.outcomes.borrow(), self.seed);
        for outcome in outcomes.iter() {
            let record = records.get(&outcome.request_id).unwrap_or_else(|| panic!("no record of {outcome:?}"));
            let told = format!("{outcome:?} {record:?}, seed {seed}");
            let used = (record.input, record.output);
            match (outcome.status, outcome.is_hit, outcome.is_whole) {
                (200, false, true) => {
                    assert_eq!((used, outcome.got), ((outcome.input, outcome.words), outcome.words), "{told}");
                }
                // Until the provider tells, a word is taken for up to two tokens, and the prompt for a little more than it is.
                (200, false, false) => assert!(used.0 < outcome.input + 20 && used.1 <= 2 * outcome.words, "{told}"),
                _ => assert_eq!(used, (0, 0), "{told}"),
            }
        }
        for (id, record) in records {
            assert!(record.is_answered() || record.input + record.output == 0, "{id}: {record:?}, seed {seed}");
        }
        self.check_variety(records);
    }

    /// A run in which something did not happen shows nothing about it.
    fn check_variety(&self, records: &HashMap<String, Record>) {
        let outcomes = self.outcomes.borrow();
        let count = |is: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| is(outcome)).count();
        let variety = [
            ("whole", count(&|it| it.status == 200 && it.is_whole && !it.is_hit)),
            ("cut", count(&|it| it.status == 200 && !it.is_whole)),
            ("hit", count(&|it| it.is_hit)),
            ("failed", count(&|it| it.status >= 500)),
            ("refused", records.values().filter(|it| it.status == 429 && it.is_ours).count()),
            ("left before the head", records.values().filter(|it| it.status == 0).count()),
        ];
        eprintln!("seed {}: {variety:?} of {}", self.seed, records.len());
        assert!(variety.iter().all(|(_, count)| *count > 0), "{variety:?}, seed {}", self.seed);
    }
}
