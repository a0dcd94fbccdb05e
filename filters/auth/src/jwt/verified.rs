//! What is left of a token once its signature held: when it is good, and who it speaks for then.

use std::rc::Rc;
use std::time::Duration;

use tollgate_core::Timestamp;

use super::claims::Claims;
use crate::caller::Caller;
use crate::denial::Denial;
use crate::validity::{Phase, Validity};

/// A token whose signature held. It knows no clock, so it may be kept and judged again.
#[derive(Clone, Debug)]
pub struct Verified {
    validity: Result<Validity, Denial>,
    caller: Result<Rc<Caller>, Denial>,
}

impl Verified {
    pub(super) fn new(validity: Result<Validity, Denial>, caller: Result<Caller, Denial>) -> Self {
        Self { validity, caller: caller.map(Rc::new) }
    }

    /// Who the token speaks for, if it is good now. Time is told first, as a caller can only mend one thing at once.
    pub fn judge(&self, now: Timestamp) -> Result<Rc<Caller>, Denial> {
        match self.validity?.phase(now) {
            Phase::Now => self.caller.clone(),
            Phase::Over => Err(Denial::Expired),
            Phase::Early => Err(Denial::NotYetValid),
        }
    }
}

/// From the later of `nbf` and `iat` until `exp`, the leeway taken in.
pub(super) fn validity(claims: &Claims, leeway: Duration) -> Result<Validity, Denial> {
    let leeway = leeway.as_secs();
    let end = claims.date("exp")?.ok_or(Denial::ExpiryMissing)?;
    let begin = claims.date("nbf")?.max(claims.date("iat")?).unwrap_or(0);
    Ok(Validity { begin: begin.saturating_sub(leeway), end: end.saturating_add(leeway) })
}
