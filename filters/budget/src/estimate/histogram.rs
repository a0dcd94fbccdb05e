//! How many tokens calls of one kind took lately: counts in log-linear buckets, and quantiles of them.
//!
//! Eight buckets to a power of two, as in an HDR histogram: up to 7 tokens exactly, above that a bucket's upper edge lies at
//! most an eighth above any value in it. A quantile is answered by that edge, so it errs on the side of reserving.
//! 402 bytes whatever came; one addition a sample, at most [`BUCKETS`] a question; integers only.
//!
//! **It forgets.** A sample is counted as [`UNIT`], and when the counts add up to [`FULL`] (255 samples) all are halved: what
//! lies 128 samples further back weighs half. A tenant that changes its prompt is followed within some fifty calls where
//! answers get longer, within some hundred where they get shorter. Whole units would vanish at the first halving, and with
//! them the tail that a high quantile is about; 256 parts live through eight. In the simulation (`scripts/bench-estimates`) a
//! memory of 1,023 samples was above the limit two to three times as long, one of 4,095 about four times, for no fewer calls
//! refused.
//!
//! Not taken: an estimator of one fixed quantile (P², stochastic approximation) is smaller but follows drift slowly or
//! noisily, and gives no second quantile; t-digest and KLL need floats or allocation, for an accuracy nobody can use here.

/// Bits of the position within a power of two.
const SUB_BITS: u32 = 3;
/// Buckets of a power of two.
const SUBS: u64 = 1 << SUB_BITS;
/// Powers of two, from the first value that needs more than [`SUB_BITS`] bits.
const OCTAVES: u64 = 24;
/// How many buckets there are.
pub const BUCKETS: usize = (SUBS * (OCTAVES + 1)) as usize;
/// What is larger counts as this: 2²⁷ − 1, above what any answer may be charged.
pub const MOST: u64 = (1 << (OCTAVES as u32 + SUB_BITS)) - 1;
/// What one fresh sample counts.
const UNIT: u16 = 256;
/// At this sum of all counts they are halved. No single count can be larger.
const FULL: u16 = u16::MAX;

/// Counts of token figures by size.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: [u16; BUCKETS],
    sum: u16,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], sum: 0 }
    }
}

impl Histogram {
    /// Counts one figure.
    pub fn add(&mut self, tokens: u64) {
        if self.sum > FULL - UNIT {
            self.halve();
        }
        if let Some(count) = self.counts.get_mut(bucket(tokens)) {
            *count = count.saturating_add(UNIT);
            self.sum = self.sum.saturating_add(UNIT);
        }
    }

    /// On how many samples an answer would rest, old ones counted by what they still weigh.
    pub const fn samples(&self) -> u16 {
        self.sum / UNIT
    }

    /// The smallest bucket edge that at least `percent` of the samples do not exceed. `None`: there are none.
    ///
    /// Never below the nearest-rank quantile of them and at most an eighth above, up to [`MOST`].
    pub fn quantile(&self, percent: u8) -> Option<u64> {
        if self.sum == 0 {
            return None;
        }
        let rank = (u32::from(self.sum) * u32::from(percent.min(100))).div_ceil(100).max(1);
        let mut below = 0;
        self.counts.iter().zip(0..).find_map(|(count, index)| {
            below += u32::from(*count);
            (below >= rank).then(|| upper_edge(index))
        })
    }

    fn halve(&mut self) {
        self.sum = 0;
        for count in &mut self.counts {
            *count /= 2;
            self.sum = self.sum.saturating_add(*count);
        }
    }
}

/// The bucket that a figure falls into: below [`BUCKETS`].
fn bucket(tokens: u64) -> usize {
    let tokens = tokens.min(MOST);
    let octave = tokens.checked_ilog2().unwrap_or(0).saturating_sub(SUB_BITS);
    // The leading bits of the figure, one more than SUB_BITS except in the exact buckets at the beginning.
    let lead = tokens >> octave;
    (u64::from(octave) * SUBS + lead) as usize
}

/// The largest figure that falls into a bucket.
const fn upper_edge(bucket: u64) -> u64 {
    if bucket < SUBS {
        return bucket;
    }
    let octave = bucket / SUBS - 1;
    let lead = SUBS + bucket % SUBS;
    ((lead + 1) << octave) - 1
}

#[cfg(test)]
mod tests;
