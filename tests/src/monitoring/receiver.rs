//! Who is notified: a webhook that keeps what it is told.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::listening;

/// How long a notification may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running receiver.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    told: Told,
}

type Told = Arc<Mutex<Vec<Notified>>>;

/// What was told of one alert.
#[derive(Clone, Debug, Deserialize)]
pub struct Notified {
    /// `firing` or `resolved`.
    pub status: String,
    /// `alertname` and what else tells it from others.
    pub labels: BTreeMap<String, String>,
    /// What a human reads.
    pub annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Message {
    alerts: Vec<Notified>,
}

impl Receiver {
    /// Starts on a free port of the loopback address.
    pub(super) fn start() -> io::Result<Self> {
        let told = Told::default();
        let app = Router::new().fallback(keep).with_state(Arc::clone(&told));
        Ok(Self { address: listening::serve("receiver", app)?, told })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until an alert of that name was told with that status, and gives the latest such word.
    pub async fn wait_for(&self, name: &str, status: &str) -> Notified {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let is_it = |one: &&Notified| {
                one.status == status && one.labels.get("alertname").is_some_and(|found| found == name)
            };
            if let Some(found) = told.iter().rfind(is_it) {
                return found.clone();
            }
            assert!(Instant::now() < deadline, "waited in vain to be told that {name} is {status}: {told:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What cannot be read is refused, so that the alertmanager logs it and the test waits in vain.
async fn keep(State(told): State<Told>, body: Bytes) -> StatusCode {
    let Ok(message) = serde_json::from_slice::<Message>(&body) else { return StatusCode::BAD_REQUEST };
    told.lock().unwrap_or_else(PoisonError::into_inner).extend(message.alerts);
    StatusCode::OK
}
