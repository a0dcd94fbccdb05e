use proptest::prelude::*;

use super::*;
use crate::window::Period;

const LEASE: Duration = Duration::from_secs(600);
const START: Timestamp = Timestamp::from_secs(1_700_000_000);

const MINUTE: Window = Window::Rolling(Duration::from_secs(60));

fn account(limit: u64) -> Account {
    account_of(MINUTE, limit)
}

fn account_of(window: Window, limit: u64) -> Account {
    let mut account = Account::new(window);
    account.advance(START, limit);
    account
}

fn granted(account: &mut Account, amount: u64) -> Lease {
    match account.reserve(amount, LEASE) {
        Verdict::Granted(lease) => lease,
        other => panic!("{amount} should fit: {other:?}"),
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
    let month = Window::Calendar(Period::Month);
    for window in [MINUTE, month, Window::Rolling(Duration::from_secs(31 * 86_400))] {
        let mut account = account_of(window, u64::MAX);
        let lease = granted(&mut account, u64::MAX);
        account.settle(Some(lease), u64::MAX);
        account.settle(None, u64::MAX);
        assert_eq!(account.balance().used, u64::MAX);
        assert!(matches!(account.reserve(1, LEASE), Verdict::Later(_)));
    }
}

#[test]
fn a_calendar_budget_is_whole_again_at_the_turn_and_not_a_moment_earlier() {
    let turn = Duration::from_secs(86_400 - START.as_secs() % 86_400);
    let mut account = account_of(Window::Calendar(Period::Day), 1_000);
    let lease = granted(&mut account, 400);
    account.settle(Some(lease), 400);
    assert_eq!(account.reserve(700, LEASE), Verdict::Later(turn));
    assert_eq!(account.balance().reset, turn);
    account.advance(START.plus(turn - Duration::from_nanos(1)), 1_000);
    assert_eq!(account.balance().used, 400, "nothing drains before");
    account.advance(START.plus(turn), 1_000);
    assert!(account.is_idle());
}

#[test]
fn debt_is_carried_into_the_next_calendar_period() {
    // litellm, tensorzero: the next window forgets.
    let turn = Duration::from_secs(86_400 - START.as_secs() % 86_400);
    let day = Duration::from_secs(86_400);
    let mut account = account_of(Window::Calendar(Period::Day), 1_000);
    account.settle(None, 2_300);
    account.advance(START.plus(turn), 1_000);
    assert_eq!(account.balance().used, 1_300);
    assert_eq!(account.reserve(100, LEASE), Verdict::Later(day));
    account.advance(START.plus(turn + day), 1_000);
    granted(&mut account, 700);
}

#[test]
fn what_is_held_over_the_turn_is_charged_in_the_new_period() {
    let turn = Duration::from_secs(86_400 - START.as_secs() % 86_400);
    let mut account = account_of(Window::Calendar(Period::Day), 1_000);
    account.advance(START.plus(turn - Duration::from_secs(10)), 1_000);
    let lease = granted(&mut account, 600);
    account.advance(START.plus(turn + Duration::from_secs(10)), 1_000);
    assert_eq!(account.balance().remaining, 400);
    account.settle(Some(lease), 500);
    assert_eq!((account.balance().used, account.balance().reserved), (500, 0));
}

#[test]
fn nothing_fits_even_into_debt_and_costs_nothing() {
    let mut account = account(10);
    account.settle(None, 100);
    let lease = granted(&mut account, 0);
    account.settle(Some(lease), 0);
    assert_eq!((account.balance().used, account.balance().reserved), (100, 0));
}

#[test]
fn an_extended_hold_is_one_hold() {
    let mut account = account(1_000);
    let lease = granted(&mut account, 400);
    let Verdict::Granted(longer) = account.extend(lease, 500, LEASE) else { panic!("it fits") };
    assert_eq!((longer.amount, longer.deadline), (900, lease.deadline));
    assert!(matches!(account.extend(longer, 101, LEASE), Verdict::Never));
    let other = granted(&mut account, 50);
    assert!(matches!(account.extend(longer, 51, LEASE), Verdict::Later(_)));
    account.settle(Some(longer), 900);
    account.settle(Some(other), 0);
    assert_eq!((account.balance().used, account.balance().reserved), (900, 0));
}

#[test]
fn a_hold_that_lapsed_is_taken_anew_as_a_whole() {
    let mut account = account(1_000);
    let lease = granted(&mut account, 400);
    account.advance(lease.deadline, 1_000);
    let Verdict::Granted(renewed) = account.extend(lease, 100, LEASE) else { panic!("it fits") };
    assert_eq!((renewed.amount, account.balance().reserved), (500, 500));
    account.settle(Some(renewed), 450);
    assert_eq!((account.balance().used, account.balance().reserved), (450, 0));
}

#[test]
fn a_hold_that_lapsed_before_the_clock_was_set_back_is_taken_anew_as_well() {
    let mut account = account(1_000);
    let lease = granted(&mut account, 400);
    account.advance(lease.deadline, 1_000);
    account.advance(START, 1_000);
    let Verdict::Granted(renewed) = account.extend(lease, 100, LEASE) else { panic!("it fits") };
    assert_eq!((renewed.amount, account.balance().reserved), (500, 500));
}

/// The account as one would write it with all the memory in the world: a list of every reservation.
struct Model {
    window: Window,
    limit: u64,
    at: Timestamp,
    spent: u128,
    live: Vec<(Lease, usize)>,
}

impl Model {
    fn advance(&mut self, now: Timestamp) {
        self.spent = self.spent.saturating_sub(self.window.drained(self.at, now, self.limit));
        self.at = now;
        self.live.retain(|(lease, _)| lease.deadline > now);
    }

    fn held(&self) -> u64 {
        self.live.iter().map(|(lease, _)| lease.amount).sum()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Wait { millis: u64 },
    Reserve { amount: u64 },
    Settle { which: prop::sample::Index, actual: u64 },
}

fn any_window() -> impl Strategy<Value = Window> {
    prop_oneof![
        Just(MINUTE),
        (1_u64..3_600).prop_map(|seconds| Window::Rolling(Duration::from_secs(seconds))),
        prop::sample::select(&Period::ALL[..4]).prop_map(Window::Calendar),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u64..40_000).prop_map(|millis| Step::Wait { millis }),
        1 => (100_000u64..900_000).prop_map(|millis| Step::Wait { millis }),
        6 => (1u64..1_200).prop_map(|amount| Step::Reserve { amount }),
        5 => (any::<prop::sample::Index>(), 0u64..1_500)
            .prop_map(|(which, actual)| Step::Settle { which, actual }),
    ]
}

/// One settled charge: when, how much, and how much of it nobody had reserved.
struct Charge {
    at: Timestamp,
    amount: u64,
    overshoot: u64,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_account_is_the_list_of_every_reservation(
        window in any_window(), limit in 1u64..2_000, steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut account = account_of(window, limit);
        let ticks = |amount: u64| u128::from(amount) * window.ticks_per_unit();
        let mut model = Model { window, limit, at: START, spent: 0, live: Vec::new() };
        let (mut now, mut open, mut charges) = (START, Vec::new(), Vec::new());
        for (index, step) in steps.iter().enumerate() {
            account.advance(now, limit);
            model.advance(now);
            match step {
                Step::Wait { millis } => now = now.plus(Duration::from_millis(*millis)),
                Step::Reserve { amount } => {
                    let fits = model.spent + ticks(model.held() + amount) <= ticks(limit);
                    match account.reserve(*amount, LEASE) {
                        Verdict::Granted(lease) => {
                            prop_assert!(fits);
                            model.live.push((lease, index));
                            open.push((lease, index));
                        }
                        Verdict::Later(wait) => {
                            prop_assert!(!fits && *amount <= limit);
                            prop_assert!(wait_is_exact(&account, *amount, wait));
                        }
                        Verdict::Never => prop_assert!(*amount > limit),
                    }
                }
                Step::Settle { which, actual } if !open.is_empty() => {
                    let (lease, id) = open.swap_remove(which.index(open.len()));
                    let was_live = model.live.iter().any(|(_, other)| *other == id);
                    model.live.retain(|(_, other)| *other != id);
                    model.spent += ticks(*actual);
                    account.settle(Some(lease), *actual);
                    let covered = if was_live { lease.amount } else { 0 };
                    charges.push(Charge { at: now, amount: *actual, overshoot: actual.saturating_sub(covered) });
                }
                Step::Settle { .. } => {}
            }
            prop_assert_eq!(account.spent, model.spent, "spent after step {}", index);
            prop_assert_eq!(account.balance().reserved, model.held(), "held after step {}", index);
        }
        prop_assert!(no_window_is_overrun(window, limit, &charges));
    }
}

/// After the wait the call fits, a nanosecond before it does not, if all calls in flight used what they reserved.
fn wait_is_exact(account: &Account, amount: u64, wait: Duration) -> bool {
    let fits_after = |wait: Duration| {
        let mut account = *account;
        account.spent += account.ticks(account.reserved());
        account.holds = Default::default();
        account.advance(account.at.plus(wait), account.limit);
        matches!(account.reserve(amount, LEASE), Verdict::Granted(_))
    };
    fits_after(wait) && !fits_after(wait - Duration::from_nanos(1))
}

/// The promise: over any window no more is charged than the limit, what drained meanwhile, and what calls used beyond
/// their reservations.
fn no_window_is_overrun(window: Window, limit: u64, charges: &[Charge]) -> bool {
    let ticks = |amount: u64| u128::from(amount) * window.ticks_per_unit();
    (0..charges.len()).all(|from| {
        let (mut charged, mut overshoot) = (0, 0);
        charges[from..].iter().all(|charge| {
            charged += charge.amount;
            overshoot += charge.overshoot;
            let drained = window.drained(charges[from].at, charge.at, limit);
            ticks(charged) <= ticks(limit) + drained + ticks(overshoot)
        })
    })
}
