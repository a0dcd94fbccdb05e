//! How many output tokens a call will take: a quantile of what finished calls of its kind took.
//!
//! A kind is tenant × model × size class. The size class is that of the prompt (long prompts are other uses than short
//! ones) and that of the declared maximum, since it cuts off what would be longer, and since one application nearly always
//! declares the same. Both go by powers of four: finer classes would be cold more often.
//!
//! The answer is, in this order:
//! 1. the quantile of the size class, if at least `min_samples` calls of it finished;
//! 2. that of the tenant with this model, whatever the size, on the same condition;
//! 3. the configured [`ColdStart`];
//!
//! and never more than the declared maximum. All of it is counted by choice: a call for `n` answers is `n` times as much, so
//! asking for many is no way around what is learned from few.
//!
//! **Other tenants are never a source.** The headers of an answer let a caller work out what was reserved for it, and so it
//! would learn how others use a model.
//!
//! **Only finished answers may be learned from.** A client that hung up got less than the model would have given: learned
//! from, it would pull the estimate down, and hanging up early would be a way to a small reservation. An answer that ended by
//! its limit (`finish_reason` `length`, `max_tokens`) is finished: it took the limit.
//!
//! A class that is not known is not made by asking, only by finishing a call, and the class that finished none for
//! longest leaves first. So made-up models and refused calls push nothing out.
//!
//!
//! **The default**: 80 %, from ten calls on, and before that the declared maximum, else 256 tokens. From the simulation
//! (`scripts/bench-estimates`, budgets in money, where output weighs five times input; seeds 1, 2, 3, 11, 12, 13):
//!
//! | reserved | time above a limit | refused of what an oracle lets in | let in, of what an oracle does |
//! |---|---|---|---|
//! | nothing | 9.6–10.4 % | 11–13 % | 118–129 % |
//! | the declared maximum | 0.35–0.46 % | 28–29 % | 81–84 % |
//! | 256 tokens | 2.2–2.6 % | 8–9 % | 111–114 % |
//! | 1,024 tokens | 0.07–0.11 % | 13–14 % | 100–101 % |
//! | learned, 80 %, 256 tokens while cold | 0.11–0.21 % | 11–12 % | 99–101 % |
//! | learned, 90 % | 0.07–0.13 % | 15 % | 95–96 % |
//! | **learned, 80 %, declared while cold** | 0.09–0.17 % | 13–14 % | 97–98 % |
//!
//! That 1,024 tokens fit this load as a whole is luck; small tenants pay for it: it refuses a third of their calls, 256 tokens
//! while cold a tenth. Reserving the declared maximum while cold hits tenants with few calls, who are cold for long: it refuses
//! a quarter of theirs. It is the default all the same, since a burst of calls of which nothing is known would else run as far
//! over the limit as the maxima that they declare; who would rather let them in takes 256 tokens. 90 % is right where a limit must
//! hold and refusals are cheap. From how many calls on a class is known hardly matters between 1 and 20; with ten the quantile lies inside what
//! was seen. The second step above is worth most with the declared maximum while cold, and costs nothing else.
//!
//! **Where it is weak.** The sum of many quantiles is larger than the quantile of the sum. Where dozens of long answers with a
//! long tail are in flight (reasoning), 80 % refuses nearly two in five that would fit, and 50 % would do.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::digest::Digester;
use super::histogram::Histogram;

/// How many classes a worker remembers unless told otherwise: at most 500 KB.
pub const DEFAULT_CLASSES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1_023);
/// A full histogram is halved and rests on no fewer than this many samples then: asking for more would make a class cold
/// again and again.
pub const MOST_MIN_SAMPLES: u16 = 100;
/// Prompts and maxima above 4⁸ are of one class.
const TOP_CLASS: u8 = 8;
/// The class of a call that declares no maximum.
const NO_MAXIMUM: u8 = u8::MAX;

/// The share of calls that shall not take more than is reserved for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantile(u8);

impl Quantile {
    /// From percent, 50 to 99. `None`: another number.
    pub const fn from_percent(percent: u8) -> Option<Self> {
        if percent >= 50 && percent <= 99 { Some(Self(percent)) } else { None }
    }

    /// In percent.
    pub const fn percent(self) -> u8 {
        self.0
    }
}

/// What is reserved for one choice of a call of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColdStart {
    /// The declared maximum, or so many tokens if none is declared.
    DeclaredOr(u64),
    /// So many tokens, or the declared maximum if that is smaller.
    Fixed(u64),
}

/// How to estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputPolicy {
    /// Which quantile to reserve.
    pub quantile: Quantile,
    /// From how many finished calls on a class is known, at most [`MOST_MIN_SAMPLES`].
    pub min_samples: u16,
    /// What is taken until then.
    pub cold: ColdStart,
    /// How many classes a worker remembers.
    pub classes: NonZeroUsize,
}

/// What is known of a call before it runs.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Who pays.
    pub tenant: &'a str,
    /// The model that runs.
    pub model: &'a str,
    /// Estimated tokens of the prompt.
    pub prompt_tokens: u64,
    /// The most tokens of one choice that the caller declared.
    pub declared_max: Option<u64>,
    /// How many answers are asked for; 0 counts as 1.
    pub choices: u64,
}

/// What calls of one kind have in common; kept with the call until it is learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    size: u128,
    any_size: u128,
    declared_max: Option<u64>,
    choices: u64,
}

/// What this worker learned of output.
pub struct OutputEstimates {
    policy: OutputPolicy,
    digester: Digester,
    classes: LruCache<u128, Histogram>,
}

impl Default for OutputPolicy {
    /// What the simulation speaks for: see the module.
    fn default() -> Self {
        Self { quantile: Quantile(80), min_samples: 10, cold: ColdStart::DeclaredOr(256), classes: DEFAULT_CLASSES }
    }
}

impl OutputEstimates {
    /// Nothing learned yet. The key must be random and secret: `Setup::random`.
    pub fn new(policy: OutputPolicy, key: [u8; 16]) -> Self {
        Self { policy, digester: Digester::new(key), classes: LruCache::new(policy.classes) }
    }

    /// The class of a call.
    pub fn class(&self, call: &Call<'_>) -> Class {
        let (tenant, model) = (call.tenant.as_bytes(), call.model.as_bytes());
        let sizes = [size_class(call.prompt_tokens), call.declared_max.map_or(NO_MAXIMUM, size_class)];
        Class {
            size: self.digester.digest(&[tenant, model, &sizes]),
            any_size: self.digester.digest(&[tenant, model]),
            declared_max: call.declared_max,
            choices: call.choices.max(1),
        }
    }

    /// Output tokens to reserve for a call of this class, all choices together.
    pub fn predict(&self, class: &Class) -> u64 {
        let learned = self.known(class.size).or_else(|| self.known(class.any_size));
        learned.map_or_else(|| self.cold(class), |tokens| bounded(tokens, class))
    }

    /// The same, but as if nothing had been learned.
    pub fn cold(&self, class: &Class) -> u64 {
        let tokens = match self.policy.cold {
            ColdStart::DeclaredOr(tokens) => class.declared_max.unwrap_or(tokens),
            ColdStart::Fixed(tokens) => tokens,
        };
        bounded(tokens, class)
    }

    /// Learns what a call of this class took, all choices together. Only for calls that finished: see the module.
    pub fn learn(&mut self, class: &Class, output: u64) {
        let tokens = output.div_ceil(class.choices);
        for digest in [class.any_size, class.size] {
            self.classes.get_or_insert_mut(digest, Histogram::default).add(tokens);
        }
    }

    /// The quantile of a class with enough samples.
    fn known(&self, digest: u128) -> Option<u64> {
        let histogram = self.classes.peek(&digest)?;
        if histogram.samples() < self.policy.min_samples.min(MOST_MIN_SAMPLES) {
            return None;
        }
        histogram.quantile(self.policy.quantile.percent())
    }
}

/// No more than was declared, for all choices together.
fn bounded(tokens: u64, class: &Class) -> u64 {
    tokens.min(class.declared_max.unwrap_or(u64::MAX)).saturating_mul(class.choices)
}

/// The smallest `c` with `tokens <= 4^c`, at most [`TOP_CLASS`]. What clients like to declare (256, 1,024, 4,096) is the
/// top of a class, so that the maxima of a class are as near to each other as can be.
fn size_class(tokens: u64) -> u8 {
    (0..TOP_CLASS).find(|class| tokens >> (2 * class) == 0 || tokens == 1 << (2 * class)).unwrap_or(TOP_CLASS)
}

#[cfg(test)]
mod tests;
