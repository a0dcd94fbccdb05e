//! A provider dies, hangs, asks for patience or refuses the gateway's key in the middle of a constant stream of calls: none
//! fails while another provider is well. Streams that had begun are cut and counted.

use std::time::Duration;

use futures_util::future::join;
use serde_json::json;
use tollgate_tests::client::{Call, unique};
use tollgate_tests::gateway::{Gateway, Setup, chat_body, merge, wait_until};
use tollgate_tests::on_own_envoys;
use tollgate_tests::provider::record::Recorded;

use crate::drill_load::{calls, failed};
use crate::provider_fleet::CHAT;

/// Calls a second.
const RATE: u32 = 100;
/// Of so many calls one is a stream.
const STREAM: u32 = 8;
/// Longest silence of a provider, and one that is longer.
const PER_TRY: &str = "5s";
const WAITED: Duration = Duration::from_secs(5);
const SILENCE_MS: u64 = 30_000;
/// Calls of a drill, and when what happens does.
const CALLS: u32 = 4 * RATE;
const HAPPENS: u32 = CALLS / 3;
const OVER: u32 = 2 * CALLS / 3;

/// Two regions of a provider, the second for when the first has no answer. Patience is long, for slow machines.
fn setup() -> Setup {
    setup_patient_for(PER_TRY)
}

fn setup_patient_for(per_try: &str) -> Setup {
    let key = |file: &str| json!({"header": "authorization", "scheme": "Bearer", "from_file": file});
    Setup::default().providers_with(|config| {
        config["providers"]["primary"]["credential"] = key("primary-key.yaml");
        config["providers"]["secondary"] = json!({"url": "http://scripted", "credential": key("secondary-key.yaml")});
        config["pools"]["default"] =
            json!({"priorities": [["primary"], ["secondary"]], "timeout": "50s", "per_try_timeout": per_try});
    })
}

/// A call of its own prompt; some are streams of half a second.
fn call(gateway: &Gateway, number: u32) -> Call {
    let mut body = chat_body(&unique("prompt"));
    if number.is_multiple_of(STREAM) {
        merge(&mut body, &json!({"stream": true}));
        return gateway.post(CHAT, &body).told("words", 20).told("chunk-delay-ms", 25);
    }
    gateway.post(CHAT, &body)
}

/// When the call of that number is due.
fn due(number: u32) -> Duration {
    Duration::from_secs(1) * number / RATE
}

on_own_envoys!(
    a_primary_that_is_killed_under_calls_costs_none_but_streams_that_had_begun,
    setup(),
    async |gateway| {
        let event = async {
            tokio::time::sleep(due(HAPPENS)).await;
            gateway.providers["primary"].kill();
        };
        let (ended, ()) = join(calls(RATE, CALLS, async |number| call(gateway, number)), event).await;
        assert!(failed(&ended).is_empty(), "{:?}", failed(&ended));
        let cut: Vec<_> = ended.iter().filter(|one| one.is_cut()).collect();
        // Nothing but what was under way at the primary, which is half a second's.
        let is_excused = |number: u32| number.is_multiple_of(STREAM) && number < HAPPENS + RATE;
        assert!(cut.iter().all(|one| one.provider == "primary" && is_excused(one.number)), "{cut:?}");
        assert!((1..=RATE / STREAM * 2).contains(&u32::try_from(cut.len()).unwrap()), "{cut:?}");
        let late = ended.iter().filter(|one| one.number > HAPPENS + RATE);
        assert!(late.clone().count() > 0 && late.clone().all(|one| one.provider == "secondary"), "{ended:?}");
        // It is left alone after a few, and not asked by every call.
        let left_alone = gateway.envoy.stat("cluster.pool_default.outlier_detection.ejections_enforced_total").await;
        assert!(left_alone >= Some(1), "{left_alone:?}");
        gateway.providers["primary"].restart().unwrap();
        // It is left alone for ten seconds.
        tokio::time::sleep(Duration::from_secs(8)).await;
        let answers =
            async || call(gateway, 1).send().await.expect(200).header("x-gateway-provider") == Some("primary");
        wait_until("the primary answers again", answers).await;
    }
);

on_own_envoys!(a_primary_that_hangs_under_calls_costs_time_and_no_call, setup(), async |gateway| {
    let hanging = async |number| {
        let call = call(gateway, number);
        if (HAPPENS..OVER).contains(&number) { call.told("delay-ms.primary", SILENCE_MS) } else { call }
    };
    let ended = calls(RATE, CALLS, hanging).await;
    assert!(ended.iter().all(|one| one.is_good()), "{:?}", failed(&ended));
    let during: Vec<_> = ended.iter().filter(|one| (HAPPENS..OVER).contains(&one.number)).collect();
    assert!(during.iter().all(|one| one.provider == "secondary"), "{during:?}");
    // Those that found it silent waited for so long, and none for as long as it was silent.
    let waited = during.iter().filter(|one| one.took > WAITED).count();
    assert!(waited > 0, "nobody waited: it did not hang");
    assert!(during.iter().all(|one| one.took < Duration::from_millis(SILENCE_MS)), "{during:?}");
});

// New calls connect all the while: were silence counted apart from answers, each connection would forgive it.
on_own_envoys!(a_primary_that_stays_silent_is_left_alone, setup_patient_for("1s"), async |gateway| {
    let silent = async |number| call(gateway, number).told("delay-ms.primary", SILENCE_MS);
    let ended = calls(RATE, CALLS, silent).await;
    assert!(ended.iter().all(|one| one.is_good() && one.provider == "secondary"), "{:?}", failed(&ended));
    let late: Vec<_> = ended.iter().filter(|one| one.number >= OVER).collect();
    let waited = late.iter().filter(|one| one.took >= Duration::from_secs(1)).count();
    assert!(waited * 2 < late.len(), "{waited} of {} still waited for it", late.len());
});

on_own_envoys!(a_storm_of_429_under_calls_costs_none_and_is_left_alone, setup(), async |gateway| {
    let usual = calls(RATE, HAPPENS, async |number| call(gateway, number)).await;
    assert!(usual.iter().all(|one| one.is_good() && one.provider == "primary"), "{usual:?}");
    let storm = async |number| call(gateway, number).told("status.primary", 429).told("retry-after.primary", 600);
    let asked_in_vain = || {
        let requests = gateway.providers["primary"].requests();
        requests.iter().filter(|request| request.header("x-provider-status.primary").is_some()).count()
    };
    let mut asked = Vec::new();
    for _ in 0..2 {
        let ended = calls(RATE, HAPPENS, storm).await;
        assert!(ended.iter().all(|one| one.is_good() && one.provider == "secondary"), "{ended:?}");
        asked.push(asked_in_vain());
    }
    // Those under way when it first asked for patience, and nobody later.
    eprintln!("{asked:?} of {HAPPENS} calls asked it in vain");
    assert!(asked[0] > 0 && asked[1] == asked[0], "{asked:?}");
});

on_own_envoys!(a_key_that_the_primary_refuses_until_it_is_replaced_costs_no_call, setup(), async |gateway| {
    let key = |name: &str| gateway.secrets.provider_key(name).unwrap();
    let (old, other) = (key("primary-key"), key("secondary-key"));
    let refused = async |number| {
        let call = call(gateway, number);
        if (HAPPENS..OVER).contains(&number) { call.told("status.primary", 401) } else { call }
    };
    let new = unique("sk-new");
    let event = async {
        tokio::time::sleep(due(OVER)).await;
        gateway.secrets.replace_provider_key("primary-key", &new).unwrap();
    };
    let (ended, ()) = join(calls(RATE, CALLS, refused), event).await;
    assert!(ended.iter().all(|one| one.is_good()), "{:?}", failed(&ended));
    let during = ended.iter().filter(|one| (HAPPENS..OVER).contains(&one.number));
    assert!(during.clone().all(|one| one.provider == "secondary"), "{ended:?}");
    for (name, known) in [("primary", vec![&old, &new]), ("secondary", vec![&other])] {
        let sent: Vec<_> = gateway.providers[name].requests().iter().map(bearer).collect();
        let wrong = sent.iter().filter(|key| !known.contains(key)).count();
        assert!(!sent.is_empty() && wrong == 0, "{wrong} of {} calls of {name} with another key", sent.len());
    }
    let has_come = async || {
        call(gateway, 1).send().await.expect(200);
        gateway.providers["primary"].requests().last().map(bearer).as_ref() == Some(&new)
    };
    wait_until("the new key arrives", has_come).await;
});

/// The key that a provider was called by.
fn bearer(request: &Recorded) -> String {
    let value = String::from_utf8_lossy(request.header("authorization").unwrap_or_default()).into_owned();
    value.trim_start_matches("Bearer ").to_owned()
}
