//! Every refusal in one table: HTTP status, stable machine-readable code, and the kind each API dialect calls it.
//!
//! The code is contract: clients branch on it and metrics carry it as `reason`. The dialects render it in
//! `tollgate-llm`; the human message is given at the place that refuses, and never echoes a credential.

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The token's algorithm is not one that its issuer may use.
    AlgorithmNotAllowed,
    /// More than one credential was sent.
    AmbiguousCredential,
    /// The token was made for somebody else.
    AudienceMismatch,
    /// The body is longer than the gateway holds.
    BodyTooLarge,
    /// The token says something else than the gateway requires.
    ClaimMismatch,
    /// The token does not say what the gateway must know.
    ClaimMissing,
    /// The caller may not use this endpoint.
    EndpointNotAllowed,
    /// A budget of a calendar period is used up: coming back a little later is futile.
    InsufficientQuota,
    /// The credential is unknown, malformed or not accepted.
    InvalidApiKey,
    /// The request cannot be understood.
    InvalidRequest,
    /// Nobody that the gateway trusts made the token.
    IssuerUnknown,
    /// The API key was valid once.
    KeyExpired,
    /// The API key is not valid yet.
    KeyNotYetValid,
    /// No credential was sent.
    MissingCredential,
    /// The caller may not use this model.
    ModelNotAllowed,
    /// The gateway serves no such model.
    ModelNotFound,
    /// The gateway serves no such path.
    NotFound,
    /// A rate limit is exhausted.
    RateLimitExceeded,
    /// No key in use made the token's signature.
    SignatureInvalid,
    /// The token was valid once.
    TokenExpired,
    /// The token cannot be read.
    TokenMalformed,
    /// The token is not valid yet.
    TokenNotYetValid,
    /// The gateway cannot decide now (shared state under contention).
    Unavailable,
    /// No provider answered.
    UpstreamUnavailable,
}

impl Refusal {
    /// All refusals, for tests and documentation.
    pub const ALL: &[Self] = &[
        Self::AlgorithmNotAllowed,
        Self::AmbiguousCredential,
        Self::AudienceMismatch,
        Self::BodyTooLarge,
        Self::ClaimMismatch,
        Self::ClaimMissing,
        Self::EndpointNotAllowed,
        Self::InsufficientQuota,
        Self::InvalidApiKey,
        Self::InvalidRequest,
        Self::IssuerUnknown,
        Self::KeyExpired,
        Self::KeyNotYetValid,
        Self::MissingCredential,
        Self::ModelNotAllowed,
        Self::ModelNotFound,
        Self::NotFound,
        Self::RateLimitExceeded,
        Self::SignatureInvalid,
        Self::TokenExpired,
        Self::TokenMalformed,
        Self::TokenNotYetValid,
        Self::Unavailable,
        Self::UpstreamUnavailable,
    ];

    /// HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::AmbiguousCredential
            | Self::AlgorithmNotAllowed
            | Self::AudienceMismatch
            | Self::ClaimMismatch
            | Self::ClaimMissing
            | Self::InvalidApiKey
            | Self::IssuerUnknown
            | Self::KeyExpired
            | Self::KeyNotYetValid
            | Self::MissingCredential
            | Self::SignatureInvalid
            | Self::TokenMalformed
            | Self::TokenExpired
            | Self::TokenNotYetValid => 401,
            Self::EndpointNotAllowed | Self::ModelNotAllowed => 403,
            Self::ModelNotFound | Self::NotFound => 404,
            Self::BodyTooLarge => 413,
            Self::InsufficientQuota | Self::RateLimitExceeded => 429,
            Self::Unavailable | Self::UpstreamUnavailable => 503,
        }
    }

    /// Stable code, as in OpenAI's `error.code`; also the `reason` label of metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AmbiguousCredential => "ambiguous_credential",
            Self::AlgorithmNotAllowed => "algorithm_not_allowed",
            Self::AudienceMismatch => "audience_mismatch",
            Self::ClaimMismatch => "claim_mismatch",
            Self::ClaimMissing => "claim_missing",
            Self::EndpointNotAllowed => "endpoint_not_allowed",
            Self::IssuerUnknown => "issuer_unknown",
            Self::KeyExpired => "key_expired",
            Self::KeyNotYetValid => "key_not_yet_valid",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::ModelNotFound => "model_not_found",
            Self::NotFound => "not_found",
            Self::SignatureInvalid => "signature_invalid",
            Self::TokenMalformed => "token_malformed",
            Self::BodyTooLarge => "request_too_large",
            Self::InsufficientQuota => "insufficient_quota",
            Self::InvalidApiKey => "invalid_api_key",
            Self::InvalidRequest => "invalid_request",
            Self::MissingCredential => "missing_credential",
            Self::RateLimitExceeded => "rate_limit_exceeded",
            Self::TokenExpired => "token_expired",
            Self::TokenNotYetValid => "token_not_yet_valid",
            Self::Unavailable => "unavailable",
            Self::UpstreamUnavailable => "upstream_unavailable",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_words() {
        let codes: HashSet<_> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
        assert_eq!(codes.len(), Refusal::ALL.len());
        assert!(codes.iter().all(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }
}
