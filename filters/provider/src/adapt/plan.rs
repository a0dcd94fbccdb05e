//! All that is known of a provider before any request.

use tollgate_llm::BodyEdits;

use crate::adapt::target::Target;
use crate::config::providers::{Provider, Source};

/// A provider, and the pieces that its requests are put together from.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) provider: Provider,
    pub(super) target: Target,
    pub(super) edits: BodyEdits,
    /// The header in which Envoy hands over the secret of a file.
    pub(super) handed_over_in: String,
}

/// Why an attempt has no credential, though its provider wants one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing<'p> {
    /// Where it should be.
    pub(super) place: &'p str,
}

impl Plan {
    pub(super) fn new(mut provider: Provider) -> Self {
        let edits = BodyEdits { set: std::mem::take(&mut provider.set), drop: std::mem::take(&mut provider.drop) };
        let target = Target::new(std::mem::take(&mut provider.paths), &provider.query);
        let handed_over_in = format!("x-gateway-credential-{}", provider.name);
        Self { provider, target, edits, handed_over_in }
    }

    /// The credential's header and what stands in it; `None`: this provider wants none.
    pub(super) fn credential(
        &self,
        handed_over: impl FnOnce(&str) -> Option<String>,
    ) -> Result<Option<(&str, String)>, Missing<'_>> {
        let Some(credential) = &self.provider.credential else { return Ok(None) };
        let value = match &credential.source {
            Source::File(file) => match handed_over(&self.handed_over_in) {
                Some(secret) => format!("{}{secret}", credential.scheme),
                None => return Err(Missing { place: file }),
            },
            Source::Env(Some(secret)) => format!("{}{}", credential.scheme, secret.expose()),
            Source::Env(None) => return Err(Missing { place: "the environment" }),
        };
        Ok(Some((&credential.header, value)))
    }
}
