//! The configuration as it is written. None of these types is `Debug`: they may hold what must not be printed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tollgate_core::HumanDuration;

use super::source::Source;
use crate::jwt::Jwks;

/// The whole document.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// API keys.
    pub api_keys: Option<Source<Vec<ApiKeySpec>>>,
    /// Tokens.
    pub jwt: Option<JwtSpec>,
    /// Paths that need no credential, compared exactly and without the query.
    #[serde(default)]
    pub open_paths: Vec<String>,
    /// Whether a credential may stand in the URL, as `key` (Gemini) or `access_token` (RFC 6750 §2.3). It is taken out
    /// before the call goes on; whatever stands in front of the gateway may have logged it. Refused unless said otherwise.
    #[serde(default)]
    pub query_keys: bool,
    /// Headers that tell the provider who calls; none unless said otherwise.
    #[serde(default)]
    pub upstream_headers: UpstreamHeadersSpec,
}

/// Names of request headers.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamHeadersSpec {
    /// For the tenant.
    pub tenant: Option<String>,
    /// For the API key's `id`, or `jwt:` and the token's subject.
    pub credential_id: Option<String>,
    /// For the tier.
    pub tier: Option<String>,
}

/// One API key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeySpec {
    /// What logs call the key; unique.
    pub id: String,
    /// Who pays.
    pub tenant: String,
    /// The tenant's service tier.
    pub tier: Option<String>,
    /// SHA-256 of the key, 64 hexadecimal digits.
    pub sha256: String,
    /// From when on the key is good (RFC 3339, as in `2026-01-31T00:00:00Z`).
    pub not_before: Option<String>,
    /// When the key ends. For a rotation without a gap, give the tenant two keys whose times overlap.
    pub expires_at: Option<String>,
    /// The only models, exact or as `prefix*`; all unless said otherwise.
    pub models: Option<Vec<String>>,
    /// The only endpoints (`chat_completions`, `completions`, `responses`, `embeddings`, `messages`, `generate_content`,
    /// `stream_generate_content`, `other`); all unless said otherwise.
    pub endpoints: Option<Vec<String>>,
    /// Handed on to access logs and later filters, never judged.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// Tokens.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtSpec {
    /// Who may make them.
    pub issuers: Vec<IssuerSpec>,
}

/// One issuer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSpec {
    /// `iss`, compared exactly.
    pub issuer: String,
    /// One of these must stand in `aud`.
    pub audiences: Vec<String>,
    /// The only algorithms accepted: HS256, HS384 and HS512, or any of RS*, PS*, ES* and EdDSA.
    pub algorithms: Vec<String>,
    /// Claims that a token must have, by name or path, each with the text that it must be or hold as a word:
    /// `{"scope": "models"}` takes `"scope": "models billing"` and `"scope": ["models"]`.
    #[serde(default)]
    pub required_claims: BTreeMap<String, String>,
    /// The claim that names the tenant, by name or path (`org.id`); `tenant` unless said otherwise.
    #[serde(default = "default_tenant_claim")]
    pub tenant_claim: String,
    /// The claim that names the tier, by name or path, if tokens carry one.
    pub tier_claim: Option<String>,
    /// The claim that names the models (an array, or words with blanks between; exact or `prefix*`), by name or path. A
    /// token without it is refused.
    pub models_claim: Option<String>,
    /// The claim that names the endpoints (as `endpoints` of an API key), by name or path. A token without it is refused; a
    /// word that names no endpoint allows none.
    pub endpoints_claim: Option<String>,
    /// By how much clocks may differ; `30s` unless said otherwise, `10m` at most.
    #[serde(default = "default_leeway")]
    pub leeway: HumanDuration,
    /// The keys.
    pub jwks: Source<Jwks>,
}

fn default_tenant_claim() -> String {
    "tenant".into()
}

fn default_leeway() -> HumanDuration {
    HumanDuration(Duration::from_secs(30))
}
