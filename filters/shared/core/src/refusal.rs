//! Every refusal in one table: HTTP status, stable machine-readable code, and the kind each API dialect calls it.
//!
//! The code is contract: clients branch on it and metrics carry it as `reason`. The dialects render it in
//! `tollgate-llm`; the human message is given at the place that refuses, and never echoes a credential.

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The body is longer than the gateway holds.
    BodyTooLarge,
    /// The credential is unknown, malformed or not accepted.
    InvalidApiKey,
    /// The request cannot be understood.
    InvalidRequest,
    /// No credential was sent.
    MissingApiKey,
    /// More than one credential was sent.
    AmbiguousCredential,
    /// A rate limit is exhausted.
    RateLimitExceeded,
    /// The gateway cannot decide now (shared state under contention).
    Unavailable,
    /// The token was valid once.
    TokenExpired,
    /// The token is not valid yet.
    TokenNotYetValid,
}

impl Refusal {
    /// All refusals, for tests and documentation.
    pub const ALL: &[Self] = &[
        Self::AmbiguousCredential,
        Self::BodyTooLarge,
        Self::InvalidApiKey,
        Self::InvalidRequest,
        Self::MissingApiKey,
        Self::RateLimitExceeded,
        Self::TokenExpired,
        Self::TokenNotYetValid,
        Self::Unavailable,
    ];

    /// HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::AmbiguousCredential
            | Self::InvalidApiKey
            | Self::MissingApiKey
            | Self::TokenExpired
            | Self::TokenNotYetValid => 401,
            Self::BodyTooLarge => 413,
            Self::RateLimitExceeded => 429,
            Self::Unavailable => 503,
        }
    }

    /// Stable code, as in OpenAI's `error.code`; also the `reason` label of metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AmbiguousCredential => "ambiguous_credential",
            Self::BodyTooLarge => "request_too_large",
            Self::InvalidApiKey => "invalid_api_key",
            Self::InvalidRequest => "invalid_request",
            Self::MissingApiKey => "missing_api_key",
            Self::RateLimitExceeded => "rate_limit_exceeded",
            Self::TokenExpired => "token_expired",
            Self::TokenNotYetValid => "token_not_yet_valid",
            Self::Unavailable => "unavailable",
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
