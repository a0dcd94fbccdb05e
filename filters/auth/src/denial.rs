//! Every reason to turn a caller away, with what it is told: one table.
//!
//! A message says what to do next and is a constant, so it cannot echo a credential. What a token lacks is told only
//! where the token itself says it (form, algorithm, issuer) or after its signature held (time, audience, tenant).

use tollgate_core::Refusal;

const CHALLENGE: &str = "www-authenticate";

/// Why a caller is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Denial {
    /// The token's `alg` is not on its issuer's list; `none` never is.
    AlgorithmNotAllowed,
    /// Two different credentials came in one request.
    Ambiguous,
    /// The token was made for somebody else.
    AudienceMismatch,
    /// A claim says something else than the issuer's tokens must.
    ClaimMismatch,
    /// A claim that the issuer's tokens must have is not there.
    ClaimMissing,
    /// The token is over.
    Expired,
    /// The token never ends.
    ExpiryMissing,
    /// A key came in the URL.
    InQuery,
    /// No configured issuer made the token.
    IssuerUnknown,
    /// The API key is over.
    KeyExpired,
    /// The API key's time has not come.
    KeyNotYetValid,
    /// The keys that could judge the credential cannot be had now.
    KeysUnavailable,
    /// The credential holds bytes that no key or token has.
    Malformed,
    /// No credential came.
    Missing,
    /// `authorization` names a scheme other than Bearer.
    NotBearer,
    /// The token's time has not come.
    NotYetValid,
    /// No key verifies the token's signature.
    SignatureInvalid,
    /// The token does not name a tenant.
    TenantMissing,
    /// The token is not one, or holds claims of the wrong type.
    TokenMalformed,
    /// The credential is longer than any that is accepted.
    TooLong,
    /// The API key is not configured.
    UnknownKey,
    /// The token's `kid` is none of its issuer's keys.
    UnknownKeyId,
}

impl Denial {
    /// All of them, for tests and documentation.
    pub const ALL: &[Self] = &[
        Self::AlgorithmNotAllowed,
        Self::Ambiguous,
        Self::AudienceMismatch,
        Self::ClaimMismatch,
        Self::ClaimMissing,
        Self::Expired,
        Self::ExpiryMissing,
        Self::InQuery,
        Self::IssuerUnknown,
        Self::KeyExpired,
        Self::KeyNotYetValid,
        Self::KeysUnavailable,
        Self::Malformed,
        Self::Missing,
        Self::NotBearer,
        Self::NotYetValid,
        Self::SignatureInvalid,
        Self::TenantMissing,
        Self::TokenMalformed,
        Self::TooLong,
        Self::UnknownKey,
        Self::UnknownKeyId,
    ];

    /// The refusal that clients branch on and metrics count.
    pub const fn refusal(self) -> Refusal {
        match self {
            Self::Ambiguous => Refusal::AmbiguousCredential,
            Self::Expired => Refusal::TokenExpired,
            Self::InQuery | Self::Missing => Refusal::MissingCredential,
            Self::NotYetValid => Refusal::TokenNotYetValid,
            Self::AlgorithmNotAllowed => Refusal::AlgorithmNotAllowed,
            Self::AudienceMismatch => Refusal::AudienceMismatch,
            Self::ClaimMismatch => Refusal::ClaimMismatch,
            Self::ClaimMissing | Self::ExpiryMissing | Self::TenantMissing => Refusal::ClaimMissing,
            Self::IssuerUnknown => Refusal::IssuerUnknown,
            Self::KeyExpired => Refusal::KeyExpired,
            Self::KeyNotYetValid => Refusal::KeyNotYetValid,
            Self::KeysUnavailable => Refusal::Unavailable,
            // Which of the two it was is nobody's business who cannot sign.
            Self::SignatureInvalid | Self::UnknownKeyId => Refusal::SignatureInvalid,
            Self::TokenMalformed => Refusal::TokenMalformed,
            Self::Malformed | Self::NotBearer | Self::TooLong | Self::UnknownKey => Refusal::InvalidApiKey,
        }
    }

    /// What the caller should do.
    pub const fn message(self) -> &'static str {
        match self {
            Self::AlgorithmNotAllowed => {
                "The token is signed with an algorithm that its issuer may not use here. Ask for a token of another \
                 algorithm."
            }
            Self::Ambiguous => {
                "The request carries more than one credential. Send exactly one, in `authorization: Bearer` or \
                 `x-api-key`."
            }
            Self::AudienceMismatch => {
                "The token was made for another audience. Ask its issuer for one that names this gateway."
            }
            Self::ClaimMismatch => {
                "The token does not grant what this gateway requires. Ask its issuer for one with the required scope."
            }
            Self::ClaimMissing => {
                "The token lacks a claim that this gateway requires. Ask its issuer for one that has it."
            }
            Self::Expired => "The token has expired. Get a fresh one and try again.",
            Self::ExpiryMissing => "The token has no `exp` claim. Ask its issuer for one that expires.",
            Self::InQuery => {
                "Credentials in the URL are not accepted, since URLs are logged. Send the key in the header \
                 `x-goog-api-key` or `authorization: Bearer` instead, and take it out of the URL."
            }
            Self::IssuerUnknown => {
                "The token's issuer is not accepted here. Get one from an issuer that this gateway trusts."
            }
            Self::KeyExpired => "The API key has expired. Ask the gateway's operator for a new one.",
            Self::KeyNotYetValid => "The API key is not valid yet. Use it from its first day on.",
            Self::KeysUnavailable => {
                "The gateway cannot check this credential now, since it cannot fetch the keys for it. Try again; if it \
                 lasts, tell the gateway's operator."
            }
            Self::Malformed => {
                "The credential holds characters that no API key or token has. Check it for line breaks, quotes and \
                 blanks."
            }
            Self::Missing => {
                "No credential was sent. Send an API key or a token as `authorization: Bearer <key>` or in `x-api-key`."
            }
            Self::NotBearer => "The `authorization` header must read `Bearer`, a blank, and the API key or token.",
            Self::NotYetValid => "The token is not valid yet. Wait, or check the clock of the machine that made it.",
            Self::SignatureInvalid => "The token's signature does not hold. Get a fresh one and send it unchanged.",
            Self::TenantMissing => {
                "The token does not say which tenant it acts for. Ask its issuer to add that claim."
            }
            Self::TokenMalformed => "The token cannot be read. Get a fresh one and send it unchanged.",
            Self::TooLong => "The credential is longer than 8 KiB. Ask its issuer for a smaller one.",
            Self::UnknownKey => "The API key is not known. Check it, or ask the gateway's operator for a new one.",
            Self::UnknownKeyId => {
                "The token is signed with a key that is not, or no longer, in use. Get a fresh one."
            }
        }
    }

    /// The header that says how to go on: `www-authenticate` (RFC 6750 §3; a call without a credential is told no error),
    /// or `retry-after` where it is not the caller's fault.
    pub const fn advice(self) -> (&'static str, &'static str) {
        match self.refusal() {
            Refusal::Unavailable => ("retry-after", "5"),
            Refusal::MissingCredential => (CHALLENGE, "Bearer realm=\"tollgate\""),
            Refusal::AmbiguousCredential => (CHALLENGE, "Bearer realm=\"tollgate\", error=\"invalid_request\""),
            _ => (CHALLENGE, "Bearer realm=\"tollgate\", error=\"invalid_token\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_denial_says_how_to_go_on() {
        for denial in Denial::ALL {
            let (name, value) = denial.advice();
            match denial.refusal().status() {
                401 => assert!(name == CHALLENGE && value.starts_with("Bearer realm="), "{denial:?}"),
                503 => assert_eq!((name, value), ("retry-after", "5")),
                other => panic!("{denial:?} is a {other}"),
            }
            assert!(denial.message().ends_with('.') && !denial.message().contains("  "), "{denial:?}");
        }
    }
}
