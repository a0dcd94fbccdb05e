//! What is left of a token once its signature held: when it is good, and who it speaks for then.

use std::rc::Rc;
use std::time::Duration;

use tollgate_core::{Identity, Timestamp};

use super::claims::Claims;
use crate::denial::Denial;

/// A token whose signature held. It knows no clock, so it may be kept and judged again.
#[derive(Clone, Debug)]
pub struct Verified {
    times: Result<Times, Denial>,
    identity: Result<Rc<Identity>, Denial>,
}

impl Verified {
    pub(super) fn new(times: Result<Times, Denial>, identity: Result<Identity, Denial>) -> Self {
        Self { times, identity: identity.map(Rc::new) }
    }

    /// Who the token speaks for, if it is good now. Time is told first, as a caller can only mend one thing at once.
    pub fn judge(&self, now: Timestamp) -> Result<Rc<Identity>, Denial> {
        self.times?.check(now)?;
        self.identity.clone()
    }
}

/// When a token is good: seconds since the Unix epoch, the leeway taken in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// From here on it is over.
    end: u64,
    /// Before this it is not valid yet: the later of `nbf` and `iat`.
    begin: u64,
}

impl Times {
    pub(super) fn of(claims: &Claims, leeway: Duration) -> Result<Self, Denial> {
        let leeway = leeway.as_secs();
        let end = claims.date("exp")?.ok_or(Denial::ExpiryMissing)?;
        let begin = claims.date("nbf")?.max(claims.date("iat")?).unwrap_or(0);
        Ok(Self { end: end.saturating_add(leeway), begin: begin.saturating_sub(leeway) })
    }

    fn check(self, now: Timestamp) -> Result<(), Denial> {
        let now = now.as_secs();
        if now >= self.end {
            return Err(Denial::Expired);
        }
        if now < self.begin {
            return Err(Denial::NotYetValid);
        }
        Ok(())
    }
}
