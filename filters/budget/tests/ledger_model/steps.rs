//! What may happen to a ledger, drawn from a seed, and the shortest list of it that still goes wrong.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// One thing that happens. Every list of steps means something, so that any may be left out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Time passes.
    Wait { millis: u64 },
    /// The clock is set back.
    SetBack { seconds: u64 },
    /// A call asks to be admitted: so many thousandths of the limit.
    Reserve { worker: usize, account: usize, thousandths: u64, lost: u32 },
    /// A call that is under way needs more.
    Extend { worker: usize, call: usize, more: u64, lost: u32 },
    /// A call ends: it used so many hundredths of what it holds.
    Settle { worker: usize, call: usize, hundredths: u64, lost: u32 },
    /// A call ends that was let through unreserved.
    Charge { worker: usize, account: usize, amount: u64, lost: u32 },
    /// The VM of a call dies: nothing is ever settled.
    Die { call: usize },
    /// The filter is configured anew: another limit for a rule, another lease.
    Restart { rule: usize, limit: u64, lease_seconds: u64 },
}

/// So many steps of a seed.
pub(crate) fn steps(seed: u64, count: usize) -> Vec<Step> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| step(&mut random)).collect()
}

fn step(random: &mut ChaCha8Rng) -> Step {
    let (worker, call) = (random.random_range(0..2), random.random_range(0..1_000));
    // One account has half of the calls, so that much is in flight there.
    let account = random.random_range(-1_000_i16..1_000).max(10) as usize;
    let lost = match random.random_range(0..20) {
        0 => random.random_range(0..80),
        1..=4 => random.random_range(1..5),
        _ => 0,
    };
    match random.random_range(0..1_000) {
        0..200 => Step::Wait { millis: random.random_range(0..3_000) },
        200..240 => Step::Wait { millis: random.random_range(0..120_000) },
        240..245 => Step::Wait { millis: random.random_range(0..2_000_000) },
        245..246 => Step::Wait { millis: random.random_range(0..1_000_000_000) },
        246..247 => Step::SetBack { seconds: random.random_range(2..3_000) },
        247..255 => Step::Restart {
            rule: account,
            limit: random.random_range(1..2_000),
            lease_seconds: [60, 600, 3_600, random.random_range(1..=3_600)][call % 4],
        },
        255..650 => {
            let thousandths = [1_100, 300, 20, 20][random.random_range(0..4)];
            Step::Reserve { worker, account, thousandths: random.random_range(0..thousandths), lost }
        }
        650..720 => Step::Extend { worker, call, more: random.random_range(1..200), lost },
        720..930 => Step::Settle { worker, call, hundredths: random.random_range(0..130), lost },
        930..980 => Step::Charge { worker, account, amount: random.random_range(0..60), lost },
        _ => Step::Die { call },
    }
}

/// Runs that are spent on making a failure shorter.
const RUNS: usize = 3_000;

/// Leaves out what is not needed to go wrong: halves, then quarters, down to single steps.
pub(crate) fn shortest(mut steps: Vec<Step>, goes_wrong: impl Fn(&[Step]) -> bool) -> Vec<Step> {
    let (mut piece, mut runs) = (steps.len().div_ceil(2), 0);
    while piece > 0 && runs < RUNS {
        let (mut at, mut is_shorter) = (0, false);
        while at < steps.len() && runs < RUNS {
            let mut fewer = steps.clone();
            fewer.drain(at..steps.len().min(at + piece));
            runs += 1;
            if goes_wrong(&fewer) {
                (steps, is_shorter) = (fewer, true);
            } else {
                at += piece;
            }
        }
        if !is_shorter {
            piece /= 2;
        }
    }
    steps
}
