use proptest::prelude::*;

use super::*;

const CALL: Call<'_> =
    Call { tenant: "acme", model: "gpt-4.1", prompt_tokens: 900, declared_max: Some(4_096), choices: 1 };

fn policy(percent: u8) -> OutputPolicy {
    let cold = ColdStart::DeclaredOr(256);
    OutputPolicy {
        quantile: Quantile::from_percent(percent).unwrap(),
        min_samples: 20,
        cold,
        ..OutputPolicy::default()
    }
}

fn estimates() -> OutputEstimates {
    OutputEstimates::new(policy(90), [7; 16])
}

/// After that many finished calls of this kind.
fn after(call: &Call<'_>, output: u64, times: usize) -> OutputEstimates {
    let mut estimates = estimates();
    learn(&mut estimates, call, output, times);
    estimates
}

fn learn(estimates: &mut OutputEstimates, call: &Call<'_>, output: u64, times: usize) {
    let class = estimates.class(call);
    for _ in 0..times {
        estimates.learn(&class, output);
    }
}

fn predict(estimates: &OutputEstimates, call: &Call<'_>) -> u64 {
    estimates.predict(&estimates.class(call))
}

#[test]
fn quantiles_go_from_50_to_99() {
    for (percent, fine) in [(0, false), (49, false), (50, true), (99, true), (100, false), (255, false)] {
        assert_eq!(Quantile::from_percent(percent).is_some(), fine, "{percent}");
    }
}

#[test]
fn a_class_is_a_power_of_four() {
    for (tokens, class) in [(0, 0), (1, 0), (2, 1), (4, 1), (5, 2), (256, 4), (257, 5), (1_024, 5), (4_096, 6)] {
        assert_eq!(size_class(tokens), class, "{tokens}");
    }
    for (tokens, class) in [(16_384, 7), (16_385, 8), (65_536, 8), (65_537, 8), (u64::MAX, 8)] {
        assert_eq!(size_class(tokens), class, "{tokens}");
    }
}

#[test]
fn a_cold_class_goes_by_the_configured_start() {
    let (none, small) = (Call { declared_max: None, ..CALL }, Call { declared_max: Some(16), ..CALL });
    for (cold, expected) in [(ColdStart::DeclaredOr(256), [4_096, 256, 16]), (ColdStart::Fixed(256), [256, 256, 16])]
    {
        let estimates = OutputEstimates::new(OutputPolicy { cold, ..policy(90) }, [7; 16]);
        assert_eq!([CALL, none, small].map(|call| predict(&estimates, &call)), expected, "{cold:?}");
    }
}

#[test]
fn a_class_that_is_known_stays_known() {
    let mut estimates = OutputEstimates::new(OutputPolicy { min_samples: u16::MAX, ..policy(90) }, [7; 16]);
    learn(&mut estimates, &CALL, 100, usize::from(MOST_MIN_SAMPLES) - 1);
    assert_eq!(predict(&estimates, &CALL), 4_096);
    for _ in 0..2_000 {
        learn(&mut estimates, &CALL, 100, 1);
        assert_eq!(predict(&estimates, &CALL), 103);
    }
}

#[test]
fn nineteen_finished_calls_teach_nothing_and_the_twentieth_does() {
    assert_eq!(predict(&after(&CALL, 100, 19), &CALL), 4_096);
    assert_eq!(predict(&after(&CALL, 100, 20), &CALL), 103);
}

#[test]
fn the_declared_maximum_bounds_what_was_learned() {
    let estimates = after(&CALL, 4_000, 20);
    assert_eq!(predict(&estimates, &CALL), 4_095);
    assert_eq!(predict(&estimates, &Call { declared_max: Some(3_000), ..CALL }), 3_000);
    assert_eq!(predict(&estimates, &Call { declared_max: Some(0), ..CALL }), 0);
}

#[test]
fn a_size_that_is_not_known_goes_by_all_sizes_of_its_tenant_and_model() {
    let mut estimates = after(&CALL, 100, 20);
    let longer = Call { prompt_tokens: 50_000, declared_max: None, ..CALL };
    assert_eq!(predict(&estimates, &longer), 103);
    learn(&mut estimates, &longer, 3_000, 20);
    assert_eq!(predict(&estimates, &longer), 3_071);
    assert_eq!(predict(&estimates, &CALL), 103, "its own size is known");
}

#[test]
fn tenants_and_models_know_nothing_of_one_another() {
    let estimates = after(&CALL, 100, 1_000);
    assert_eq!(predict(&estimates, &Call { tenant: "globex", ..CALL }), 4_096);
    assert_eq!(predict(&estimates, &Call { model: "gpt-4.1-mini", ..CALL }), 4_096);
    assert_eq!(predict(&estimates, &Call { tenant: "acmeg", model: "pt-4.1", ..CALL }), 4_096);
}

#[test]
fn many_choices_cost_many_times_what_one_does() {
    let mut estimates = after(&CALL, 100, 20);
    assert_eq!(predict(&estimates, &Call { choices: 8, ..CALL }), 8 * 103);
    assert_eq!(predict(&estimates, &Call { choices: 0, ..CALL }), 103);
    assert_eq!(predict(&estimates, &Call { tenant: "globex", choices: 3, declared_max: None, ..CALL }), 3 * 256);
    // Eight answers of 500 are no call of 4,000.
    learn(&mut estimates, &Call { tenant: "globex", choices: 8, ..CALL }, 4_000, 20);
    assert_eq!(predict(&estimates, &Call { tenant: "globex", ..CALL }), 511);
}

#[test]
fn asking_makes_no_class_and_keeps_none() {
    let classes = NonZeroUsize::new(4).unwrap();
    let mut estimates = OutputEstimates::new(OutputPolicy { classes, ..policy(90) }, [7; 16]);
    let other = Call { tenant: "globex", ..CALL };
    learn(&mut estimates, &CALL, 100, 20);
    learn(&mut estimates, &other, 100, 20);
    for model in ["a", "b", "c"] {
        predict(&estimates, &Call { model, ..CALL });
    }
    assert_eq!((predict(&estimates, &CALL), estimates.classes.len()), (103, 4));
    learn(&mut estimates, &Call { tenant: "initech", ..CALL }, 100, 20);
    assert_eq!(predict(&estimates, &CALL), 4_096, "finished no call for longest");
    assert_eq!((predict(&estimates, &other), estimates.classes.len()), (103, 4));
}

proptest! {
    #[test]
    fn a_class_holds_what_differs_by_less_than_four_times(tokens in 1..=65_536_u64) {
        let class = size_class(tokens);
        prop_assert!(tokens <= 1 << (2 * class));
        prop_assert!(class == 0 || tokens > 1 << (2 * (class - 1)));
    }

    #[test]
    fn no_figures_break_it_and_the_declared_maximum_holds(
        outputs in prop::collection::vec(any::<u64>(), 0..40),
        prompt_tokens: u64,
        declared_max: Option<u64>,
        choices: u64,
        percent in 50..=99_u8,
    ) {
        let mut estimates = OutputEstimates::new(policy(percent), [7; 16]);
        let class = estimates.class(&Call { prompt_tokens, declared_max, choices, ..CALL });
        for output in outputs {
            estimates.learn(&class, output);
            let most = declared_max.unwrap_or(u64::MAX).saturating_mul(choices.max(1));
            prop_assert!(estimates.predict(&class) <= most);
        }
    }
}
