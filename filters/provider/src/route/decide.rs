//! From what a caller asks for to what runs where.
//!
//! Overrides first, then `models`, name after name, until a pool is reached. An override counts for every name on the way, not
//! only for the caller's own: else an alias would lead around it. It counts once, so what it says is not overridden again.

use tollgate_core::Identity;

use super::dice::Dice;
use crate::config::{Leaf, Policy, PoolId, Target, key};

/// More than any way has: one to an override and one from there.
const MOST_STEPS: usize = 64;

/// What runs where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) pool: PoolId,
    /// By the configuration's name for it; `None`: the request names none.
    pub(super) model: Option<String>,
    pub(super) how: How,
}

/// How it came to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// By `models`.
    Routed,
    /// By `overrides`.
    Overridden,
    /// By `unknown_model`.
    UnknownModel,
    /// By `no_model`.
    NoModel,
}

/// Decides for a request that names a model. `None`: nobody serves it.
pub(super) fn with_model(policy: &Policy, dice: &Dice, caller: Option<&Identity>, asked: &str) -> Option<Decision> {
    let mut name = policy.names.spelled(asked);
    let mut how = How::Routed;
    let mut caller = caller;
    // The end, once a target named it, unless an override is for the model that was named beside it.
    let mut last_pool = None;
    for _ in 0..MOST_STEPS {
        let key = key(&name);
        let overriding = caller.and_then(|caller| policy.overrides.target(caller, Some(&key)));
        let target = match (overriding, last_pool) {
            (Some(target), _) => {
                (how, caller, last_pool) = (How::Overridden, None, None);
                target
            }
            (None, Some(pool)) => return Some(Decision { pool, model: Some(name), how }),
            (None, None) => match policy.models.target(&key) {
                Some(target) => target,
                None => {
                    let how = if how == How::Routed { How::UnknownModel } else { how };
                    return policy.unknown_model.map(|pool| Decision { pool, model: Some(name), how });
                }
            },
        };
        match pick(target, dice)? {
            Leaf::Pool(pool, None) => last_pool = Some(*pool),
            Leaf::Pool(pool, Some(model)) => {
                last_pool = Some(*pool);
                name = policy.names.spelled(model);
            }
            Leaf::Model(model) => name = policy.names.spelled(model),
        }
    }
    None
}

/// Decides for a request that names no model. An override that is for all models counts: the pool that it leads to
/// serves its callers. `None`: nobody serves it.
pub(super) fn without_model(policy: &Policy, dice: &Dice, caller: Option<&Identity>) -> Option<Decision> {
    let Some(mut target) = caller.and_then(|caller| policy.overrides.target(caller, None)) else {
        return policy.no_model.map(|pool| Decision { pool, model: None, how: How::NoModel });
    };
    let decided = |pool| Some(Decision { pool, model: None, how: How::Overridden });
    for _ in 0..MOST_STEPS {
        let name = match pick(target, dice)? {
            Leaf::Pool(pool, _) => return decided(*pool),
            Leaf::Model(name) => name,
        };
        match policy.models.target(&key(name)) {
            Some(next) => target = next,
            None => return policy.unknown_model.and_then(decided),
        }
    }
    None
}

fn pick<'t>(target: &'t Target, dice: &Dice) -> Option<&'t Leaf> {
    target.pick(|bound| dice.below(bound))
}
