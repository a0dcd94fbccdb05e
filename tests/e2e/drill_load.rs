//! Calls at a constant rate, whatever becomes of those before, and what their callers saw.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::interval;
use tollgate_tests::client::Call;

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its number in the load.
    pub(crate) number: u32,
    /// From its begin to the end of its answer.
    pub(crate) took: Duration,
    /// 0 if no head came.
    pub(crate) status: u16,
    /// Whether the body came to its end.
    is_whole: bool,
    /// Who answered, as `show_provider` has it told.
    pub(crate) provider: String,
}

impl Ended {
    /// Whether the caller has what it asked for.
    pub(crate) const fn is_good(&self) -> bool {
        self.status == 200 && self.is_whole
    }

    /// Whether its answer had begun: nobody can give the rest of it.
    pub(crate) const fn is_cut(&self) -> bool {
        self.status == 200 && !self.is_whole
    }
}

/// Those that failed, though somebody could have answered them.
pub(crate) fn failed(ended: &[Ended]) -> Vec<&Ended> {
    ended.iter().filter(|one| !one.is_good() && !one.is_cut()).collect()
}

/// Makes `count` calls, `rate` of them a second, and waits for the last; in the order of their numbers.
pub(crate) async fn calls(rate: u32, count: u32, call: impl AsyncFn(u32) -> Call) -> Vec<Ended> {
    // Ticks that were missed are made up for.
    let mut ticks = interval(Duration::from_secs(1) / rate);
    let (mut under_way, mut ended) = (FuturesUnordered::new(), Vec::new());
    for number in 0..count {
        loop {
            tokio::select! {
                _ = ticks.tick() => break,
                Some(one) = under_way.next() => ended.push(one),
            }
        }
        under_way.push(one(number, call(number).await));
    }
    while let Some(one) = under_way.next().await {
        ended.push(one);
    }
    ended.sort_by_key(|one| one.number);
    ended
}

async fn one(number: u32, call: Call) -> Ended {
    let begun = Instant::now();
    let Some(answer) = call.try_open().await else {
        return Ended { number, took: begun.elapsed(), status: 0, is_whole: false, provider: String::new() };
    };
    let answer = answer.rest().await;
    let provider = answer.header("x-gateway-provider").unwrap_or_default().to_owned();
    Ended { number, took: begun.elapsed(), status: answer.status, is_whole: answer.is_whole, provider }
}
