use proptest::prelude::*;

use super::*;

const LEASE: Duration = Duration::from_secs(600);
const START: Timestamp = Timestamp::from_secs(1_700_000_000);

fn account(limit: u64) -> Account {
    let mut account = Account::default();
    account.advance(START, limit);
    account
}

fn granted(account: &mut Account, tokens: u64) -> Lease {
    match account.reserve(tokens, LEASE) {
        Verdict::Granted(lease) => lease,
        other => panic!("{tokens} should fit: {other:?}"),
    }
}

#[test]
fn a_call_fits_to_the_last_token_and_no_further() {
    let mut account = account(1_000);
    granted(&mut account, 999);
    assert_eq!(account.reserve(2, LEASE), Verdict::Later(Duration::from_millis(60)));
    granted(&mut account, 1);
    assert_eq!(account.balance().remaining, 0);
}

#[test]
fn a_call_larger_than_the_limit_never_fits() {
    assert_eq!(account(1_000).reserve(1_001, LEASE), Verdict::Never);
}

#[test]
fn a_failed_call_costs_nothing() {
    let mut account = account(1_000);
    let lease = granted(&mut account, 700);
    account.settle(Some(lease), 0);
    assert!(account.is_idle());
}

#[test]
fn overspend_is_debt_until_it_has_drained() {
    let mut account = account(600);
    let lease = granted(&mut account, 100);
    account.settle(Some(lease), 1_800);
    assert_eq!((account.balance().used, account.balance().remaining), (1_800, 0));
    // 1,200 tokens of debt and 60 of the call, at 10 a second.
    assert_eq!(account.reserve(60, LEASE), Verdict::Later(Duration::from_secs(126)));
    account.advance(START.plus(Duration::from_secs(125)), 600);
    assert!(matches!(account.reserve(60, LEASE), Verdict::Later(_)));
    account.advance(START.plus(Duration::from_secs(126)), 600);
    granted(&mut account, 60);
}

#[test]
fn a_hold_does_not_drain_so_that_nothing_drained_is_given_back() {
    let mut account = account(1_000);
    let lease = granted(&mut account, 1_000);
    account.advance(START.plus(Duration::from_secs(300)), 1_000);
    assert!(matches!(account.reserve(1, LEASE), Verdict::Later(_)), "five minutes in flight are still in flight");
    account.settle(Some(lease), 400);
    assert_eq!(account.balance().remaining, 600);
}

#[test]
fn a_lost_settlement_is_given_back_at_the_deadline_and_not_before() {
    let mut account = account(1_000);
    let lease = granted(&mut account, 1_000);
    assert!(lease.deadline >= START.plus(LEASE) && lease.deadline <= START.plus(LEASE + LEASE / 7 + LEASE / 600));
    account.advance(Timestamp::from_nanos(lease.deadline.as_nanos() - 1), 1_000);
    assert_eq!(account.balance().reserved, 1_000);
    account.advance(lease.deadline, 1_000);
    assert!(account.is_idle());
}

#[test]
fn a_call_that_outlives_its_lease_is_charged_in_full() {
    let mut account = account(1_000);
    let lease = granted(&mut account, 1_000);
    account.advance(lease.deadline, 1_000);
    let other = granted(&mut account, 300);
    account.settle(Some(lease), 200);
    let balance = account.balance();
    assert_eq!((balance.used, balance.reserved), (200, 300), "the other call's hold is not touched");
    account.settle(Some(other), 0);
    assert_eq!(account.balance().used, 200);
}

#[test]
fn a_clock_set_back_neither_freezes_the_account_nor_keeps_its_holds() {
    let mut account = account(600);
    let spent = granted(&mut account, 600);
    account.settle(Some(spent), 300);
    granted(&mut account, 300);
    let back = Timestamp::from_nanos(START.as_nanos() - 86_400_000_000_000);
    account.advance(back, 600);
    assert_eq!((account.balance().used, account.balance().reserved), (300, 0));
    account.advance(back.plus(Duration::from_secs(30)), 600);
    assert!(account.is_idle());
}

#[test]
fn time_before_a_new_limit_drains_at_the_old_one() {
    let mut account = account(600);
    let lease = granted(&mut account, 600);
    account.settle(Some(lease), 600);
    account.advance(START.plus(Duration::from_secs(30)), 6_000);
    assert_eq!((account.balance().used, account.balance().remaining), (300, 5_700));
}

#[test]
fn more_deadlines_than_holds_share_the_latest_and_stay_exact() {
    let mut account = account(1_000);
    let leases: Vec<_> = (1..=20)
        .map(|minutes| match account.reserve(10, Duration::from_secs(minutes * 60)) {
            Verdict::Granted(lease) => lease,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(account.balance().reserved, 200);
    for lease in &leases[..19] {
        account.settle(Some(*lease), 0);
    }
    assert_eq!(account.balance().reserved, 10);
    account.advance(leases[19].deadline, 1_000);
    assert!(account.is_idle());
}

#[test]
fn absurd_figures_saturate() {
    let mut account = account(u64::MAX);
    let lease = granted(&mut account, u64::MAX);
    account.settle(Some(lease), u64::MAX);
    account.settle(None, u64::MAX);
    assert_eq!(account.balance().used, u64::MAX);
    assert!(matches!(account.reserve(1, LEASE), Verdict::Later(_)));
}

/// The account as one would write it with all the memory in the world: a list of every reservation.
struct Model {
    limit: u64,
    at: Timestamp,
    spent: u128,
    live: Vec<(Lease, usize)>,
}

impl Model {
    fn advance(&mut self, now: Timestamp) {
        self.spent = self.spent.saturating_sub(now.since(self.at).as_nanos() * u128::from(self.limit));
        self.at = now;
        self.live.retain(|(lease, _)| lease.deadline > now);
    }

    fn held(&self) -> u64 {
        self.live.iter().map(|(lease, _)| lease.tokens).sum()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Wait { millis: u64 },
    Reserve { tokens: u64 },
    Settle { which: prop::sample::Index, actual: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u64..40_000).prop_map(|millis| Step::Wait { millis }),
        1 => (100_000u64..900_000).prop_map(|millis| Step::Wait { millis }),
        6 => (1u64..1_200).prop_map(|tokens| Step::Reserve { tokens }),
        5 => (any::<prop::sample::Index>(), 0u64..1_500)
            .prop_map(|(which, actual)| Step::Settle { which, actual }),
    ]
}

/// One settled charge: when, how much, and how much of it nobody had reserved.
struct Charge {
    at: Timestamp,
    tokens: u64,
    overshoot: u64,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_account_is_the_list_of_every_reservation(
        limit in 1u64..2_000, steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut account = account(limit);
        let mut model = Model { limit, at: START, spent: 0, live: Vec::new() };
        let (mut now, mut open, mut charges) = (START, Vec::new(), Vec::new());
        for (index, step) in steps.iter().enumerate() {
            account.advance(now, limit);
            model.advance(now);
            match step {
                Step::Wait { millis } => now = now.plus(Duration::from_millis(*millis)),
                Step::Reserve { tokens } => {
                    let fits = model.spent + ticks(model.held() + tokens) <= ticks(limit);
                    match account.reserve(*tokens, LEASE) {
                        Verdict::Granted(lease) => {
                            prop_assert!(fits);
                            model.live.push((lease, index));
                            open.push((lease, index));
                        }
                        Verdict::Later(wait) => {
                            prop_assert!(!fits && *tokens <= limit);
                            prop_assert!(wait_is_exact(&account, *tokens, wait));
                        }
                        Verdict::Never => prop_assert!(*tokens > limit),
                    }
                }
                Step::Settle { which, actual } if !open.is_empty() => {
                    let (lease, id) = open.swap_remove(which.index(open.len()));
                    let was_live = model.live.iter().any(|(_, other)| *other == id);
                    model.live.retain(|(_, other)| *other != id);
                    model.spent += ticks(*actual);
                    account.settle(Some(lease), *actual);
                    let covered = if was_live { lease.tokens } else { 0 };
                    charges.push(Charge { at: now, tokens: *actual, overshoot: actual.saturating_sub(covered) });
                }
                Step::Settle { .. } => {}
            }
            prop_assert_eq!(account.spent, model.spent, "spent after step {}", index);
            prop_assert_eq!(account.balance().reserved, model.held(), "held after step {}", index);
        }
        prop_assert!(no_window_is_overrun(limit, &charges));
    }
}

/// After the wait the call fits, a nanosecond before it does not, if all calls in flight used what they reserved.
fn wait_is_exact(account: &Account, tokens: u64, wait: Duration) -> bool {
    let fits_after = |wait: Duration| {
        let mut account = *account;
        account.spent += ticks(account.reserved());
        account.holds = Default::default();
        account.advance(account.at.plus(wait), account.limit);
        matches!(account.reserve(tokens, LEASE), Verdict::Granted(_))
    };
    fits_after(wait) && !fits_after(wait - Duration::from_nanos(1))
}

/// The promise: over any window no more is charged than the limit, what drained meanwhile, and what calls used beyond
/// their reservations.
fn no_window_is_overrun(limit: u64, charges: &[Charge]) -> bool {
    (0..charges.len()).all(|from| {
        let (mut charged, mut overshoot) = (0, 0);
        charges[from..].iter().all(|charge| {
            charged += charge.tokens;
            overshoot += charge.overshoot;
            let drained = charge.at.since(charges[from].at).as_nanos() * u128::from(limit);
            ticks(charged) <= ticks(limit) + drained + ticks(overshoot)
        })
    })
}
