//! `models`: what runs for each name, and that every way through it ends.

use std::collections::{BTreeMap, HashMap};

use tollgate_core::ConfigError;

use super::names::{check_name, key};
use super::pools::Pools;
use super::spec::TargetSpec;
use super::target::Target;

const MOST_MODELS: usize = 1024;
/// Longest way from a name to a pool. So a call is decided in bounded time, and people can follow it.
pub(super) const MOST_STEPS: usize = 16;

/// What runs for each name.
#[derive(Debug)]
pub struct Models {
    entries: Vec<Entry>,
    /// By [`key`].
    exact: HashMap<String, usize>,
    /// By [`key`] of the prefix, the longest first.
    prefixes: Vec<(String, usize)>,
}

#[derive(Debug)]
struct Entry {
    /// As it is written.
    pattern: String,
    target: Target,
}

impl Models {
    pub(super) fn new(specs: BTreeMap<String, TargetSpec>, pools: &Pools) -> Result<Self, ConfigError> {
        if specs.len() > MOST_MODELS {
            return Err(ConfigError::at("models", format!("has more than {MOST_MODELS} entries: use prefixes")));
        }
        let mut models = Self { entries: Vec::new(), exact: HashMap::new(), prefixes: Vec::new() };
        for (pattern, spec) in specs {
            let path = format!("models.{pattern}");
            let prefix = pattern.strip_suffix('*');
            if prefix != Some("") {
                check_name(&path, prefix.unwrap_or(&pattern))?;
            }
            let target = Target::new(&path, spec, pools)?;
            let index = models.entries.len();
            let other = match prefix {
                None => models.exact.insert(key(&pattern), index),
                Some(prefix) => {
                    let key = key(prefix);
                    let other = models.prefixes.iter().find(|(known, _)| *known == key).map(|(_, index)| *index);
                    models.prefixes.push((key, index));
                    other
                }
            };
            if other.is_some() {
                return Err(ConfigError::at(path, "stands here in another case as well: names have no case"));
            }
            models.entries.push(Entry { pattern, target });
        }
        models.prefixes.sort_by_key(|(prefix, _)| usize::MAX - prefix.len());
        Ok(models)
    }

    /// Where a name leads, by its [`key`]: an exact entry before the longest prefix.
    pub fn target(&self, key: &str) -> Option<&Target> {
        self.find(key).and_then(|index| self.entries.get(index)).map(|entry| &entry.target)
    }

    /// The names that are no prefixes.
    pub(super) fn exact(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.pattern.as_str()).filter(|pattern| !pattern.ends_with('*'))
    }

    /// Every target.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Target> {
        self.entries.iter().map(|entry| &entry.target)
    }

    /// Makes sure that every way ends at a pool; other names do, where `unknown_ends`.
    pub(super) fn check(&self, unknown_ends: bool) -> Result<(), ConfigError> {
        let mut heights = vec![None; self.entries.len()];
        for index in 0..self.entries.len() {
            self.height(index, unknown_ends, &mut Vec::new(), &mut heights)?;
        }
        Ok(())
    }

    /// Makes sure that the names of a target lead on.
    pub(super) fn check_next(&self, path: &str, target: &Target, unknown_ends: bool) -> Result<(), ConfigError> {
        match target.next().find(|name| !unknown_ends && self.find(&key(name)).is_none()) {
            None => Ok(()),
            Some(name) => {
                let problem = format!("leads to `{name}`, which nobody serves: add it to `models`");
                Err(ConfigError::at(path, problem))
            }
        }
    }

    /// Steps from an entry to the pool that is farthest. `way` are the entries that led here.
    fn height(
        &self,
        index: usize,
        unknown_ends: bool,
        way: &mut Vec<usize>,
        heights: &mut [Option<usize>],
    ) -> Result<usize, ConfigError> {
        if let Some(height) = heights.get(index).copied().flatten() {
            return Ok(height);
        }
        let Some(entry) = self.entries.get(index) else { return Ok(0) };
        let path = format!("models.{}", entry.pattern);
        if way.contains(&index) {
            return Err(ConfigError::at(path, "leads back to itself: end the circle at a pool"));
        }
        self.check_next(&path, &entry.target, unknown_ends)?;
        way.push(index);
        let mut height = 0;
        // A way that is too long is found before it is walked to its end, so the recursion is bounded.
        if way.len() <= MOST_STEPS {
            for next in entry.target.next().filter_map(|name| self.find(&key(name))) {
                height = height.max(self.height(next, unknown_ends, way, heights)?);
            }
        }
        way.pop();
        height += 1;
        if height + way.len() > MOST_STEPS {
            let problem = format!("is more than {MOST_STEPS} steps away from a pool: shorten the way");
            return Err(ConfigError::at(path, problem));
        }
        if let Some(known) = heights.get_mut(index) {
            *known = Some(height);
        }
        Ok(height)
    }

    fn find(&self, key: &str) -> Option<usize> {
        self.exact.get(key).copied().or_else(|| {
            self.prefixes.iter().find(|(prefix, _)| key.starts_with(prefix.as_str())).map(|(_, index)| *index)
        })
    }
}
