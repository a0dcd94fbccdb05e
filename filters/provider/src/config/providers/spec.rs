//! The wire form: a provider as it stands in `providers.json`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use tollgate_core::config::unique;

/// One provider.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSpec {
    /// `https://HOST[:PORT]` or `http://HOST[:PORT]`, without a path.
    pub(super) url: String,
    /// What proves who asks; left out: nothing is sent.
    #[serde(default)]
    pub(super) credential: Option<CredentialSpec>,
    /// For Envoy: where it stands, so that load balancing may prefer what is near.
    #[serde(default)]
    pub(super) region: Option<String>,
    /// Our name of a model: its own.
    #[serde(default, deserialize_with = "unique")]
    pub(super) models: BTreeMap<String, String>,
    /// A model that it does not have: the one that it runs instead, by our name.
    #[serde(default, deserialize_with = "unique")]
    pub(super) stand_ins: BTreeMap<String, String>,
    /// Prefix of a path: what stands there instead.
    #[serde(default, deserialize_with = "unique")]
    pub(super) paths: BTreeMap<String, String>,
    /// Parameters that every request gets.
    #[serde(default, deserialize_with = "unique")]
    pub(super) query: BTreeMap<String, String>,
    /// Headers that every request gets.
    #[serde(default, deserialize_with = "unique")]
    pub(super) headers: BTreeMap<String, String>,
    /// What changes in a body.
    #[serde(default)]
    pub(super) body: BodySpec,
    /// For Envoy: the path that tells whether it is well.
    #[serde(default)]
    pub(super) health_check: Option<String>,
    /// For Envoy: who may vouch for its certificate.
    #[serde(default)]
    pub(super) ca_file: Option<String>,
    /// For Envoy: whether it is spoken to in HTTP/2.
    #[serde(default, rename = "http2")]
    pub(super) _http2: bool,
}

/// A credential: its header, and exactly one of both places.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CredentialSpec {
    pub(super) header: String,
    /// What stands in front of the secret, as `Bearer` does.
    #[serde(default)]
    pub(super) scheme: Option<String>,
    /// A file of Envoy's secrets folder. It may change while Envoy runs.
    #[serde(default)]
    pub(super) from_file: Option<String>,
    /// An environment variable of the filter, read once.
    #[serde(default)]
    pub(super) from_env: Option<String>,
}

/// Members at the top of a JSON object body.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BodySpec {
    #[serde(deserialize_with = "unique")]
    pub(super) set: BTreeMap<String, Value>,
    pub(super) drop: Vec<String>,
}
