//! A fault run: thousands of calls of many tenants at two workers, each ended in one of the ways a call can end, and after every
//! step each account is the sum of its parts: what calls spent that have ended, and what those hold that live.
//!
//! The account that is compared with is the reference model's of the ledger (`ledger_model/model.rs`). What a call holds is seen in
//! what an account holds more after a step of that call than before; what it spent, in the usage record that it handed off.

mod calls;
mod world;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::fixture::recordings;
use world::World;

/// Calls of one run.
const CALLS: usize = 1_500;

fn run(seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let recordings = recordings();
    let mut world = World::new(seed, &recordings);
    for _ in 0..CALLS {
        world.begin(&mut random);
        while world.open() > random.random_range(0..12) {
            world.step(&mut random);
        }
        world.pass_time(&mut random);
    }
    while world.open() > 0 {
        world.step(&mut random);
    }
    world.check_end();
}

#[test]
fn whatever_ends_a_call_every_account_is_the_sum_of_its_parts() {
    std::thread::scope(|scope| {
        for seed in 0..4 {
            scope.spawn(move || run(seed));
        }
    });
}
