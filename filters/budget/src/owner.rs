//! Whose account a slot holds: one rule, and the values of the dimensions that it counts apart.
//!
//! Accounts are told apart by 128 bits of a SHA-256 over rule, unit, window, mode and all values, so two owners never share one by chance,
//! and a caller who may choose a value (the model) cannot make them. A rule that keeps its name but counts something else
//! starts afresh; one whose limit alone changed keeps its accounts.
//!
//! The slot also tells its owner in words, for the list that administrators may read.

use sha2::{Digest as _, Sha256};

use crate::rule::Mode;
use crate::unit::Unit;
use crate::window::Window;

/// What a rule can count apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// The tenant that pays.
    Tenant,
    /// One API key or token subject, within its tenant.
    Credential,
    /// The service tier.
    Tier,
    /// The model that is asked for.
    Model,
    /// The route that Envoy chose.
    Route,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Tenant, Self::Credential, Self::Tier, Self::Model, Self::Route];

    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Credential => "credential",
            Self::Tier => "tier",
            Self::Model => "model",
            Self::Route => "route",
        }
    }
}

/// Most bytes of a value that are kept in words.
const MAX_WORD: usize = 64;

/// Whose account it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The name in shared data.
    pub digest: [u8; 16],
    /// Where its slot is looked for first: spread evenly over all `u64`.
    pub home: u64,
    /// Itself in words, as [`Words::parse`] reads them.
    pub words: String,
}

/// What the accounts of one rule have in common.
#[derive(Clone, Debug)]
pub struct OwnerSeed {
    hash: Sha256,
    words: String,
}

impl OwnerSeed {
    /// Of a rule.
    pub fn new(rule: &str, unit: Unit, window: Window, mode: Mode) -> Self {
        let mut hash = Sha256::new();
        for part in [rule, unit.as_str(), &window.to_string(), mode.as_str()] {
            add(&mut hash, part);
        }
        Self { hash, words: format!("{}\n{rule}", unit.as_str()) }
    }

    /// The owner with these values.
    pub fn owner<'v>(&self, values: impl Iterator<Item = (Dimension, &'v str)>) -> Owner {
        let (mut hash, mut words) = (self.hash.clone(), self.words.clone());
        for (dimension, value) in values {
            add(&mut hash, dimension.as_str());
            add(&mut hash, value);
            words.push('\n');
            words.push_str(dimension.as_str());
            words.push('=');
            words.extend(shortened(value).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }));
        }
        let (mut digest, mut home) = ([0; 16], [0; 8]);
        let bytes = hash.finalize();
        digest.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        home.iter_mut().zip(bytes.into_iter().skip(digest.len())).for_each(|(to, from)| *to = from);
        Owner { digest, home: u64::from_le_bytes(home), words }
    }
}

/// With its length, so that no two lists of values read alike.
fn add(hash: &mut Sha256, part: &str) {
    hash.update((part.len() as u64).to_le_bytes());
    hash.update(part.as_bytes());
}

fn shortened(value: &str) -> &str {
    let end = value.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= MAX_WORD).last();
    value.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// An owner in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words<'a> {
    /// What is counted.
    pub unit: Unit,
    /// The rule's name.
    pub rule: &'a str,
    /// Dimension and value, the latter shortened to 64 bytes.
    pub values: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    /// Reads [`Owner::words`].
    pub fn parse(words: &'a str) -> Option<Self> {
        let mut lines = words.split('\n');
        let unit = Unit::parse(lines.next()?)?;
        let rule = lines.next()?;
        let values = lines.take(Dimension::ALL.len()).filter_map(|line| line.split_once('=')).collect();
        Some(Self { unit, rule, values })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const MINUTE: Window = Window::Rolling(Duration::from_secs(60));

    fn owner(values: &[(Dimension, &str)]) -> Owner {
        OwnerSeed::new("r", Unit::Tokens, MINUTE, Mode::Enforce).owner(values.iter().copied())
    }

    #[test]
    fn no_two_lists_of_values_are_one_owner() {
        let (tenant, model) = (Dimension::Tenant, Dimension::Model);
        let lists = [
            &[(tenant, "ab"), (model, "c")][..],
            &[(tenant, "a"), (model, "bc")],
            &[(tenant, "abc")],
            &[(model, "abc")],
            &[(tenant, "abc"), (model, "")],
            &[],
        ];
        for (at, one) in lists.iter().enumerate() {
            for (other_at, other) in lists.iter().enumerate() {
                assert_eq!(owner(one).digest == owner(other).digest, at == other_at, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_rule_that_counts_something_else_starts_afresh() {
        let in_mode = |rule, unit, seconds, mode| {
            let window = Window::Rolling(Duration::from_secs(seconds));
            OwnerSeed::new(rule, unit, window, mode).owner([(Dimension::Tenant, "acme")].into_iter()).digest
        };
        let of = |rule, unit, seconds| in_mode(rule, unit, seconds, Mode::Enforce);
        let first = of("r", Unit::Tokens, 60);
        assert_eq!(first, of("r", Unit::Tokens, 60));
        let on_trial = in_mode("r", Unit::Tokens, 60, Mode::Shadow);
        for other in [of("s", Unit::Tokens, 60), of("r", Unit::Usd, 60), of("r", Unit::Tokens, 61), on_trial] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn an_owner_is_told_in_words_that_no_value_can_forge() {
        let owner = owner(&[(Dimension::Tenant, "a\nmodel=b"), (Dimension::Model, &"\u{e9}".repeat(40))]);
        let words = Words::parse(&owner.words).unwrap();
        assert_eq!((words.unit, words.rule), (Unit::Tokens, "r"));
        assert_eq!(words.values, [("tenant", "a\u{fffd}model=b"), ("model", &*"\u{e9}".repeat(32))]);
    }

    proptest! {
        #[test]
        fn any_words_are_read_or_not(words: String) {
            Words::parse(&words);
        }
    }
}
