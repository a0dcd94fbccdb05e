//! Tells whether a JWT is good, when, and who it speaks for.
//!
//! The order matters. Nothing of a token is believed before its signature held, except as a choice among what the
//! operator configured: `iss` picks the issuer, `alg` must be on *that issuer's* list, `kid` picks among *its* keys.
//! A key is bound to algorithms of its own kind when the configuration is read (see [`jwks`]). So `none` has no
//! verifier, and a public RSA key can never serve as an HMAC secret.
//!
//! The proxy's own cryptography judges the signature where it can, the primitives under jwt-simple elsewhere ([`key`]).
//! jwt-simple reads the keys, strictly, but for those on P-521, which it does not know. Its verifier is not used: it wants claims where test vectors have any bytes, and
//! its clock counts seconds in 32 bits, so a token that ends after 2106, as "never expires" ones do, would seem long
//! over. Audience and tenant are judged here, time in [`verified`] (RFC 7519 §4.1).

mod algorithm;
mod claims;
mod jwks;
mod key;
mod key_set;
mod token;
mod verified;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tollgate_core::Identity;
use tollgate_core::ports::Signatures;
use tollgate_llm::{Api, ModelPattern};

use crate::caller::Caller;
use crate::denial::Denial;
use crate::grant::Grant;
use crate::name::{MAX_NAME, MAX_SUBJECT, TOKEN_PREFIX, is_name};
use crate::remote::Remote;
pub use algorithm::{Algorithm, Kind};
pub use claims::Claims;
pub use jwks::{Jwks, MAX_KEYS, read_keys, usable_keys};
pub use key::Key;
pub use key_set::KeySet;
pub use token::Jws;
pub use verified::Verified;
use verified::validity;

/// Most models that a token may name: each remembered token holds its own.
const MAX_MODELS: usize = 64;

/// Who may make tokens, and how they are read.
pub struct Issuer {
    /// `iss`, compared exactly.
    pub name: String,
    /// One of these must stand in `aud`.
    pub audiences: Vec<String>,
    /// Claims that must stand there with this word.
    pub required_claims: BTreeMap<String, String>,
    /// The claim that names the tenant.
    pub tenant_claim: String,
    /// The claim that names the tier, if tokens carry one.
    pub tier_claim: Option<String>,
    /// The claim that names the models, if tokens carry them.
    pub models_claim: Option<String>,
    /// The claim that names the endpoints, if tokens carry them.
    pub endpoints_claim: Option<String>,
    /// By how much clocks may differ.
    pub leeway: Duration,
    /// Its keys that are at hand, and the only algorithms accepted.
    pub keys: KeySet,
    /// Its keys that a server keeps.
    pub remote: Option<Remote<KeySet>>,
}

/// A token that was not verified.
#[derive(Clone, Copy)]
pub struct Unverified<'a> {
    /// Why not.
    pub denial: Denial,
    /// The keys of which newer ones might change that.
    pub keys: Option<&'a Remote<KeySet>>,
}

impl From<Unverified<'_>> for Denial {
    fn from(unverified: Unverified<'_>) -> Self {
        unverified.denial
    }
}

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.denial.fmt(f)
    }
}

impl From<Denial> for Unverified<'_> {
    fn from(denial: Denial) -> Self {
        Self { denial, keys: None }
    }
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

    /// The key sets that servers keep.
    pub fn remotes(&self) -> impl Iterator<Item = &Remote<KeySet>> {
        self.issuers.iter().filter_map(|issuer| issuer.remote.as_ref())
    }

    /// Whether there is no issuer at all.
    pub fn is_empty(&self) -> bool {
        self.issuers.is_empty()
    }

    /// Everything about the token that no clock changes; [`Verified::judge`] tells the rest.
    pub fn read(&self, token: &str, proxy: &dyn Signatures) -> Result<Verified, Unverified<'_>> {
        let jws = Jws::parse(token)?;
        let claims = Claims::decode(&jws)?;
        let name = claims.text("iss")?.ok_or(Denial::IssuerUnknown)?;
        let issuer = self.issuers.iter().find(|issuer| issuer.name == name).ok_or(Denial::IssuerUnknown)?;
        issuer.check_signature(&jws, proxy)?;
        let caller = issuer.check_claims(&claims).and_then(|()| issuer.caller(&claims));
        Ok(Verified::new(validity(&claims, issuer.leeway), caller))
    }
}

/// Whether a credential has the form of a JWT: three parts, the first a JSON object in base64url.
pub fn looks_like_token(credential: &str) -> bool {
    credential.starts_with("eyJ") && credential.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl Issuer {
    /// Keys at hand first, as they cost no look elsewhere.
    fn check_signature(&self, jws: &Jws<'_>, proxy: &dyn Signatures) -> Result<(), Unverified<'_>> {
        let verdict = self.keys.check_signature(jws, proxy);
        let Some(remote) = &self.remote else { return Ok(verdict?) };
        if !matches!(verdict, Err(Denial::UnknownKeyId | Denial::SignatureInvalid)) {
            return Ok(verdict?);
        }
        let Some(fetched) = remote.get() else {
            return Err(Unverified { denial: Denial::KeysUnavailable, keys: Some(remote) });
        };
        let denial = match fetched.check_signature(jws, proxy) {
            Ok(()) => return Ok(()),
            Err(Denial::UnknownKeyId) => verdict.err().unwrap_or(Denial::UnknownKeyId),
            Err(denial) => denial,
        };
        // A key of this very name that did not sign will not have signed later. Any other may be one to come.
        let may_change = !jws.key_id().is_some_and(|kid| fetched.names(kid) || self.keys.names(kid));
        Err(Unverified { denial, keys: may_change.then_some(remote) })
    }

    fn check_claims(&self, claims: &Claims) -> Result<(), Denial> {
        if !self.audiences.iter().any(|audience| claims.is_for(audience)) {
            return Err(Denial::AudienceMismatch);
        }
        self.required_claims.iter().try_for_each(|(path, wanted)| claims.require(path, wanted))
    }

    fn caller(&self, claims: &Claims) -> Result<Caller, Denial> {
        let mut grant = Grant::default();
        if let Some(claim) = &self.models_claim {
            // Without the claim the token would be without limits, which its maker cannot have meant.
            let models = claims.words(claim)?.ok_or(Denial::ClaimMissing)?;
            if models.len() > MAX_MODELS {
                return Err(Denial::TokenMalformed);
            }
            let models: Option<Vec<_>> = models.into_iter().map(ModelPattern::parse).collect();
            grant.models = Some(models.ok_or(Denial::TokenMalformed)?);
        }
        if let Some(claim) = &self.endpoints_claim {
            let words = claims.words(claim)?.ok_or(Denial::ClaimMissing)?;
            let is_named = |api: &&Api| words.contains(&api.as_str());
            grant.endpoints = Some(Api::ALL.iter().filter(is_named).copied().collect());
        }
        Ok(Caller::new(self.identify(claims)?, grant, &BTreeMap::new()))
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
