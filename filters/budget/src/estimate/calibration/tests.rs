use proptest::prelude::*;

use super::*;

fn at(ratio: &str) -> Calibration {
    let all = crate::models::pattern("*").unwrap();
    Calibration::new(ModelTable::new(vec![(all, ratio.parse().unwrap())]), [7; 16])
}

fn milli(ratio: Ratio) -> u64 {
    ratio.0.bytes() * 1_000 / ratio.0.tokens()
}

fn exactly(bytes: u64, tokens: u64) -> Ratio {
    Ratio(BytesPerToken::new(bytes, tokens).unwrap())
}

#[test]
fn a_ratio_is_read_from_a_decimal() {
    for (decimal, bytes, tokens) in
        [("4", 4, 1), ("3.5", 35, 10), ("3.75", 375, 100), ("1.000", 1_000, 1_000), ("16.0", 160, 10), ("016", 16, 1)]
    {
        assert_eq!(decimal.parse(), Ok(exactly(bytes, tokens)), "{decimal}");
    }
}

#[test]
fn what_is_no_such_decimal_is_refused() {
    for decimal in [
        "", ".", "4.", ".5", "0.9", "0", "16.001", "17", "1000", "+4", "-4", "4,5", "4e0", "3.1415", "1.5.5", " 4",
        "٤", "nan",
    ] {
        assert_eq!(decimal.parse::<Ratio>(), Err(BadRatio), "{decimal}");
    }
}

#[test]
fn a_configuration_holds_it_as_a_string() {
    assert_eq!(serde_json::from_str::<Ratio>(r#""3.5""#).unwrap(), exactly(35, 10));
    for json in [r#""0.5""#, "3.5", "3"] {
        assert!(serde_json::from_str::<Ratio>(json).is_err(), "{json}");
    }
    let error = serde_json::from_str::<Ratio>(r#""x""#).unwrap_err().to_string();
    assert!(error.contains("from \"1\" to \"16\""), "{error}");
}

#[test]
fn tokens_are_rounded_up() {
    let calibration = at("3.5");
    for (bytes, tokens) in [(0, 0), (1, 1), (3, 1), (4, 2), (7, 2), (8, 3), (3_500, 1_000)] {
        assert_eq!(calibration.tokens("m", bytes), tokens, "{bytes}");
    }
    assert_eq!(at("1").tokens("m", u64::MAX), u64::MAX);
}

#[test]
fn a_model_learns_its_own_ratio_and_no_others() {
    let mut calibration = at("4");
    for _ in 0..200 {
        calibration.learn("chinese", 2_000, 1_000);
    }
    assert!((2_000..2_100).contains(&milli(calibration.ratio("chinese"))), "{:?}", calibration.ratio("chinese"));
    assert_eq!(milli(calibration.ratio("english")), 4_000);
}

#[test]
fn it_follows_a_change() {
    let mut calibration = at("4");
    for _ in 0..1_000 {
        calibration.learn("m", 4_000, 1_000);
    }
    for _ in 0..500 {
        calibration.learn("m", 4_000, 1_600);
    }
    assert!((2_490..2_520).contains(&milli(calibration.ratio("m"))), "{:?}", calibration.ratio("m"));
}

#[test]
fn small_samples_say_nothing() {
    let mut calibration = at("4");
    for _ in 0..1_000 {
        calibration.learn("m", 19, 19);
        calibration.learn("m", 1_000_000, 19);
        calibration.learn("m", 0, 1_000);
    }
    assert_eq!((milli(calibration.ratio("m")), calibration.models.len()), (4_000, 0));
    calibration.learn("m", 20, 20);
    assert!(milli(calibration.ratio("m")) < 4_000);
}

#[test]
fn a_provider_that_always_lies_makes_no_call_free() {
    let mut calibration = at("4");
    for _ in 0..10_000 {
        calibration.learn("low", u64::MAX, 20);
        calibration.learn("high", 2_000, u64::MAX);
    }
    assert!(milli(calibration.ratio("low")) <= 16_000);
    assert_eq!(milli(calibration.ratio("high")), 1_000);
}

#[test]
fn models_are_bounded_and_asking_makes_none() {
    let mut calibration = at("4");
    for model in 0..10_000 {
        calibration.ratio(&model.to_string());
    }
    assert_eq!(calibration.models.len(), 0);
    for model in 0..10_000 {
        calibration.learn(&model.to_string(), 1_000, 1_000);
    }
    assert_eq!(calibration.models.len(), 256);
    assert_eq!(milli(calibration.ratio("0")), 4_000);
}

proptest! {
    #[test]
    fn a_ratio_keeps_its_bounds_whatever_comes(
        samples in prop::collection::vec((any::<u64>(), any::<u64>(), 0..64_u32), 0..300),
    ) {
        let mut calibration = at("4");
        for (bytes, tokens, shift) in samples {
            calibration.learn("m", bytes >> shift, tokens >> shift);
            let (bytes, tokens) = (calibration.ratio("m").0.bytes(), calibration.ratio("m").0.tokens());
            prop_assert!(tokens >= 1 && tokens <= bytes && bytes <= 16 * tokens, "{bytes}/{tokens}");
        }
    }

    #[test]
    fn any_two_figures_make_a_ratio_within_the_bounds(bytes: u64, tokens: u64, text: u64) {
        let ratio = Ratio::new(bytes, tokens);
        let (bytes, tokens) = (ratio.0.bytes(), ratio.0.tokens());
        prop_assert!(tokens >= 1 && tokens <= bytes && bytes.div_ceil(16) <= tokens);
        prop_assert!(ratio.tokens(text) <= text && ratio.tokens(text) >= text.div_ceil(16));
    }

    #[test]
    fn one_sample_moves_the_estimate_by_a_fifth_of_the_way_at_most(
        before in prop::collection::vec((20..100_000_u64, 10..160_u64), 0..100),
        bytes: u64,
        tokens: u64,
    ) {
        let mut calibration = at("4");
        for (count, tenths) in before {
            calibration.learn("m", count * tenths / 10, count);
        }
        let text = 1 << 20;
        let old = calibration.tokens("m", text);
        calibration.learn("m", bytes, tokens);
        let new = calibration.tokens("m", text);
        // The way is to one end of the range: 1 or 16 bytes a token.
        let up = (text - old) / 5;
        let down = (old - text / 16) / 5;
        prop_assert!(new <= old + up + 1_000 && new + down + 1_000 >= old, "{old} {new}");
    }

    #[test]
    fn more_bytes_are_no_fewer_tokens(
        samples in prop::collection::vec((20..100_000_u64, 20..100_000_u64), 0..50),
        bytes: u64,
        more: u64,
    ) {
        let mut calibration = at("3.5");
        for (bytes, tokens) in samples {
            calibration.learn("m", bytes, tokens);
        }
        prop_assert!(calibration.tokens("m", bytes) <= calibration.tokens("m", bytes.saturating_add(more)));
    }
}

#[test]
fn a_model_begins_at_its_own_ratio_and_else_at_that_of_english() {
    let starts = vec![(crate::models::pattern("claude-*").unwrap(), exactly(7, 2))];
    let calibration = Calibration::new(ModelTable::new(starts), [7; 16]);
    assert_eq!((milli(calibration.ratio("claude-x")), milli(calibration.ratio("m"))), (3_500, 4_000));
}
