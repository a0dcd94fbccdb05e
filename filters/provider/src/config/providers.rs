//! `providers`: who can be asked.

use serde::Deserialize;

/// A provider as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSpec {}
