//! The ledger against a reference model, over a million random operations: several rules of rolling and calendar windows, several
//! owners in fewer slots than they need, two workers whose clocks differ, writes that lose, VMs that die, clocks set back, limits
//! and leases that change.
//!
//! What the model knows that the ledger cannot: every reservation by itself. What it leaves to others: windows of months
//! (`window/tests.rs`), other workers between a read and its write (`interleavings.rs`), absurd figures (`account/tests.rs`).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unimplemented,
    reason = "a test may fail loudly, helpers included"
)]

mod model;
mod steps;
mod store;
mod world;

use steps::{Step, shortest, steps};
use world::World;

/// 250 of them are a million.
const STEPS: usize = 4_000;
const EPISODES: u64 = 250;

/// All accounts are compared after so many steps, each step's own at once.
const COMPARE: usize = 1_000;

/// Fewer than there are accounts, so that slots change hands and neighbourhoods are full at times.
const TIGHT: u32 = 24;
/// Three of four seeds have room for all.
const ROOMY: u32 = 128;

/// What went wrong, and at which step.
fn run(slots: u32, steps: &[Step]) -> Result<(), (usize, String)> {
    let mut world = World::new(slots);
    let each = steps.iter().enumerate().try_for_each(|(at, step)| {
        world.take(*step).map_err(|problem| (at, problem))?;
        if at % COMPARE == 0 { world.compare_all().map_err(|problem| (at, problem)) } else { Ok(()) }
    });
    each.and_then(|()| world.compare_all().map_err(|problem| (steps.len() - 1, problem)))
}

fn check(seed: u64) {
    let slots = if seed.is_multiple_of(4) { TIGHT } else { ROOMY };
    let mut all = steps(seed, STEPS);
    let Err((at, problem)) = run(slots, &all) else { return };
    all.truncate(at + 1);
    let few = shortest(all, |steps| run(slots, steps).is_err());
    let last = run(slots, &few).err().map(|(_, problem)| problem).unwrap_or_default();
    let listed: Vec<_> = few.iter().map(|step| format!("    {step:?},\n")).collect();
    panic!(
        "seed {seed}, {slots} slots, step {at}: {problem}\nShortest steps that go wrong ({last}):\n{}",
        listed.concat()
    );
}

#[test]
fn a_million_operations_leave_what_a_list_of_every_reservation_says() {
    let workers = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            scope.spawn(move || (worker..EPISODES).step_by(workers as usize).for_each(check));
        }
    });
}

#[test]
fn the_operations_reach_what_they_are_meant_to_reach() {
    let mut world = World::new(TIGHT);
    for seed in 0..5 {
        steps(seed, STEPS).into_iter().for_each(|step| world.take(step).unwrap());
    }
    let reached = world.reached;
    for (what, times) in [
        ("granted", reached.granted),
        ("refused", reached.refused),
        ("refused for good", reached.never),
        ("lost races", reached.contended),
        ("neighbourhoods full", reached.exhausted),
        ("slots that changed hands", reached.changed_hands),
        ("settled after the lease", reached.late),
        ("leases that lapsed", reached.lapsed),
        ("deadlines that were shared", reached.crowded),
        ("limits that changed under debt", reached.indebted_restarts),
    ] {
        assert!(times >= 5, "{what}: {times}");
    }
}

#[test]
fn a_failure_is_made_short() {
    let needed = |steps: &[Step]| {
        let deaths = steps.iter().filter(|step| matches!(step, Step::Die { .. })).count();
        deaths >= 2 && steps.iter().any(|step| matches!(step, Step::Restart { .. }))
    };
    assert_eq!(shortest(steps(1, STEPS), needed).len(), 3);
}
