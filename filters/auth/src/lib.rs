//! Who calls: API keys and JWTs in, one identity out.
//!
//! Who calls is decided at request headers. A body is held only where a caller is limited to models and the API carries the
//! model in its body:
//!
//! 1. [`credential`] takes the one credential out of header bytes, whichever of the four headers it came in, or
//!    out of the URL where that is allowed;
//! 2. [`api_key`] looks its SHA-256 digest up; a match is proof, whatever the credential looks like;
//! 3. what looks like a token goes to [`jwt`]: issuer, algorithm, key, signature (judged by the proxy where it can), then
//!    time, audience and tenant; [`memory`] spares the signature of a token that was here before;
//! 4. [`grant`] says whether that caller may use this endpoint and this model;
//! 5. [`outgoing`] removes every credential and every forged `x-gateway-*` header, and tells the provider who calls if
//!    that is configured;
//! 6. [`stream`] leaves the identity for the filters behind, or answers 401, 403, 400 or 503 in the caller's dialect; [`denial`] is
//!    the table of reasons.
//!
//! [`remote`] keeps up with keys that live on a server: one fetch a process, the last good ones while it is down.
//!
//! [`config`] turns the JSON object into the policy and refuses whatever would let somebody in by mistake.
//!
//! `explain` and `vectors` are for commands (`scripts/check-token`, `scripts/verify-vectors`) and not in the module.
//!
//! What it does not do: it logs nothing of a call. Credentials and claims must not stand in logs, and the verdict is a
//! metric.

pub mod api_key;
pub mod caller;
pub mod config;
pub mod credential;
pub mod denial;
#[cfg(not(target_arch = "wasm32"))]
pub mod explain;
pub mod filter;
#[cfg(not(target_arch = "wasm32"))]
pub mod fuzzing;
pub mod grant;
pub mod jwt;
pub mod memory;
mod name;
pub mod outgoing;
pub mod remote;
pub mod stream;
#[cfg(test)]
mod testkit;
pub mod validity;
#[cfg(not(target_arch = "wasm32"))]
pub mod vectors;

pub use config::{Policy, Spec};
pub use denial::Denial;
pub use filter::AuthFilter;

#[cfg(target_arch = "wasm32")]
tollgate_host::export!(AuthFilter, without: b"response log done");
