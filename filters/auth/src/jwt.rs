//! Tells whether a JWT is good, when, and who it speaks for.
//!
//! The order matters. Nothing of a token is believed before its signature held, except as a choice among what the
//! operator configured: `iss` picks the issuer, `alg` must be on *that issuer's* list, `kid` picks among *its* keys.
//! A key is made for one algorithm when the configuration is read (see [`jwks`]). So `none` has no verifier, and a
//! public RSA key can never serve as an HMAC secret.
//!
//! jwt-simple checks signatures and nothing else. Its own clock check counts seconds in 32 bits, so a token that ends
//! after 2106, as "never expires" ones do, would seem long over; and time must come from the argument. So it is
//! switched off, and time, audience and tenant are judged here (RFC 7519 §4.1).

mod jwks;
mod token;
mod verified;

use std::time::Duration;

use tollgate_core::Identity;

use crate::denial::Denial;
use crate::name::{MAX_NAME, MAX_SUBJECT, TOKEN_PREFIX, is_name};
pub use jwks::{Jwks, Key, read_keys};
use token::{Claims, Unverified};
use verified::Times;
pub use verified::Verified;

/// Most keys that are tried for one token: a token without `kid` must not cost a verification for each key of a long
/// set.
const MAX_TRIES: usize = 16;

/// A signature algorithm of RFC 7518.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256
    Es256,
    /// HMAC with SHA-256
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256
    Rs256,
}

impl Algorithm {
    /// Reads the name in `alg`, exactly.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Es256, Self::Hs256, Self::Rs256].into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// The name in `alg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
        }
    }
}

/// Who may make tokens, and how they are read.
pub struct Issuer {
    /// `iss`, compared exactly.
    pub name: String,
    /// One of these must stand in `aud`.
    pub audiences: Vec<String>,
    /// The only algorithms accepted.
    pub algorithms: Vec<Algorithm>,
    /// The claim that names the tenant.
    pub tenant_claim: String,
    /// The claim that names the tier, if tokens carry one.
    pub tier_claim: Option<String>,
    /// By how much clocks may differ.
    pub leeway: Duration,
    /// Keys of those algorithms only.
    pub keys: Vec<Key>,
}

/// All issuers of the policy.
#[derive(Default)]
pub struct Verifier {
    issuers: Vec<Issuer>,
}

impl Verifier {
    /// Issuers of different names.
    pub fn new(issuers: Vec<Issuer>) -> Self {
        Self { issuers }
    }

    /// Whether there is no issuer at all.
    pub fn is_empty(&self) -> bool {
        self.issuers.is_empty()
    }

    /// Everything about the token that no clock changes; [`Verified::judge`] tells the rest.
    pub fn read(&self, token: &str) -> Result<Verified, Denial> {
        let token = Unverified::parse(token)?;
        let algorithm = Algorithm::parse(&token.header.alg).ok_or(Denial::AlgorithmNotAllowed)?;
        let name = token.claims.text("iss")?.ok_or(Denial::IssuerUnknown)?;
        let issuer = self.issuers.iter().find(|issuer| issuer.name == name).ok_or(Denial::IssuerUnknown)?;
        issuer.check_signature(&token, algorithm)?;
        let times = Times::of(&token.claims, issuer.leeway)?;
        let identity = issuer.check_audience(&token.claims).and_then(|()| issuer.identify(&token.claims));
        Ok(Verified::new(times, identity))
    }
}

/// Whether a credential has the form of a JWT: three parts, the first a JSON object in base64url.
pub fn looks_like_token(credential: &str) -> bool {
    credential.starts_with("eyJ") && credential.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl Issuer {
    fn check_signature(&self, token: &Unverified<'_>, algorithm: Algorithm) -> Result<(), Denial> {
        if !self.algorithms.contains(&algorithm) {
            return Err(Denial::AlgorithmNotAllowed);
        }
        let kid = token.header.kid.as_deref();
        let candidates = self.keys.iter().filter(|key| key.algorithm() == algorithm && key.may_be(kid));
        let mut verdict = Err(Denial::UnknownKeyId);
        for key in candidates.take(MAX_TRIES) {
            verdict = key.verify(token.text);
            if verdict != Err(Denial::SignatureInvalid) {
                break;
            }
        }
        verdict
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), Denial> {
        let is_for_us = self.audiences.iter().any(|audience| claims.is_for(audience));
        if is_for_us { Ok(()) } else { Err(Denial::AudienceMismatch) }
    }

    /// The tenant comes from its claim; the credential's id is `jwt:<sub>`, or `jwt:<iss>` for a token without `sub`.
    fn identify(&self, claims: &Claims) -> Result<Identity, Denial> {
        let tenant = claims.text(&self.tenant_claim)?.ok_or(Denial::TenantMissing)?;
        let tier = match &self.tier_claim {
            Some(claim) => claims.text(claim)?,
            None => None,
        };
        let subject = claims.text("sub")?;
        let is_good = is_name(tenant, MAX_NAME)
            && tier.is_none_or(|tier| is_name(tier, MAX_NAME))
            && subject.is_none_or(|subject| is_name(subject, MAX_SUBJECT));
        if !is_good {
            return Err(if tenant.is_empty() { Denial::TenantMissing } else { Denial::TokenMalformed });
        }
        Ok(Identity {
            tenant: tenant.to_owned(),
            credential_id: format!("{TOKEN_PREFIX}{}", subject.unwrap_or(&self.name)),
            tier: tier.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests;
