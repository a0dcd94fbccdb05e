//! The ports: what a filter asks of the proxy, each trait one job.
//!
//! Ports never fail loudly. What is missing is `None`, what could not be done is `false`: a filter decides over both.

use std::time::Duration;

use crate::header::HeaderList;

/// A header map of the phase at hand. Names are lower case; values are bytes, since clients send what they like.
pub trait Headers {
    /// Every header. Read once, then keep: a call costs a copy of the whole map.
    fn all(&self) -> HeaderList;
    /// Replaces all values of a header by this one.
    fn set(&mut self, name: &str, value: &[u8]);
    /// Removes every value of a header.
    fn remove(&mut self, name: &str);
}

/// The part of a body that this phase may see.
pub trait Body {
    /// Bytes to see, without reading them.
    fn len(&self) -> usize;
    /// Whether there is nothing to see.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// A copy of the bytes.
    fn read(&self) -> Vec<u8>;
    /// Puts other bytes in their place. `false` where the host no longer takes any.
    fn replace(&mut self, bytes: &[u8]) -> bool;
}

/// What one filter leaves for the next: host properties between modules, plain memory inside one module. Clients cannot
/// reach it. Names stand in [`crate::handoff`].
pub trait Handoff {
    /// What was left under a name.
    fn get(&self, name: &str) -> Option<Vec<u8>>;
    /// Leaves a value; the newest wins.
    fn set(&mut self, name: &str, value: &[u8]);
}

/// A value of the [`SharedStore`] with the version that a later [`Expect::Version`] must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The bytes; empty ones count as absent.
    pub value: Vec<u8>,
    /// Changes with every write.
    pub version: u32,
}

/// What a writer believes to stand in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever stands there is overwritten.
    Anything,
    /// The key was never written, or stands empty.
    Absent,
    /// Nobody wrote since this version was read.
    Version(u32),
}

/// Key-value store shared by all workers of the process. It cannot delete, expire or list, so keys are a fixed set.
pub trait SharedStore {
    /// The value under a key.
    fn get(&self, key: &str) -> Option<Versioned>;
    /// Writes if the expectation holds. `false`: somebody else was faster, read again.
    fn put(&self, key: &str, value: &[u8], expect: Expect) -> bool;
}

/// A counter that a [`Meter`] made: good for the life of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterId(pub u32);

/// Counters, gauges and histograms. Label values come from closed or capped sets: a series once made is never freed.
pub trait Meter {
    /// Makes a counter, or finds the one that was made; it reads 0 until something is added. Who adds often keeps the
    /// id. `None`: there are too many series.
    fn counter(&mut self, name: &str, labels: &[(&str, &str)]) -> Option<CounterId>;
    /// Adds to a counter; adding 0 does nothing.
    fn add_to(&mut self, counter: CounterId, by: u64);
    /// Adds to the counter of a name and labels; adding 0 does not even make it.
    fn add(&mut self, name: &str, labels: &[(&str, &str)], by: u64) {
        if by > 0
            && let Some(counter) = self.counter(name, labels)
        {
            self.add_to(counter, by);
        }
    }
    /// Sets a gauge.
    fn set(&mut self, name: &str, labels: &[(&str, &str)], to: u64);
    /// Records a value in a histogram; its buckets are the proxy's configuration.
    fn record(&mut self, name: &str, labels: &[(&str, &str)], value: u64);
}

/// What the proxy knows of a call (Envoy attributes).
pub trait Attributes {
    /// `response.code`: from the response's head on.
    fn response_code(&self) -> Option<u16>;
    /// `xds.route_name`
    fn route_name(&self) -> Option<String>;
    /// `xds.cluster_name`
    fn cluster_name(&self) -> Option<String>;
    /// `request.duration`: in the log phase only.
    fn duration(&self) -> Option<Duration>;
    /// Text under `tollgate` in the metadata of the endpoint that was chosen (`xds.upstream_host_metadata`): in an upstream
    /// filter from the request's head on, elsewhere from the response's head on.
    fn endpoint_metadata(&self, key: &str) -> Option<String>;
    /// `response.code_details`, from the response's head on: `via_upstream`, or how the proxy itself came to answer.
    fn code_details(&self) -> Option<String>;
    /// `upstream.transport_failure_reason`: why a connection failed.
    fn transport_failure(&self) -> Option<String>;
}

/// The route that the proxy chose for a call.
pub trait RouteChoice {
    /// Has the proxy choose anew, by what is known now. It does no good once the request went on to the provider.
    fn forget(&mut self);
}

/// A hash function of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

impl Hash {
    /// The name in lower case, as in `sha256`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}

/// The proxy's own cryptography, far faster than ours in WebAssembly.
pub trait Signatures {
    /// Whether a signature over `text` holds: RSASSA-PKCS1-v1_5 or ECDSA (in DER), as the key says, which is a DER
    /// `SubjectPublicKeyInfo`. `None`: the proxy cannot judge, so judge elsewhere; it never stands for "no".
    fn verify(&self, hash: Hash, spki: &[u8], signature: &[u8], text: &[u8]) -> Option<bool>;
}

/// The proxy's log: events of the gateway itself, one line each. Never prompts, keys or claims.
pub trait Log {
    /// Something worth knowing.
    fn info(&mut self, message: &str);
    /// Something that somebody should look at.
    fn warn(&mut self, message: &str);
}

/// Environment variables of the VM.
pub trait Environment {
    /// The variable's value, if it is set.
    fn var(&self, name: &str) -> Option<String>;
}
