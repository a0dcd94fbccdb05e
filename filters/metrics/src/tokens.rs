//! One usage record as five counts that never overlap.
//!
//! A [`Usage`] nests: cached and cache-writing tokens are parts of the input, reasoning is a part of the output. Written
//! as five values of one label, `sum(gateway_tokens_total)` would count those tokens twice. So the nesting becomes two
//! labels: `type` is OpenTelemetry's `gen_ai.token.type`, and `part` cuts each type into disjoint pieces. Then
//! `sum by (type)` gives the provider's own totals and a plain `sum` gives all tokens, without anything to remember.

use tollgate_core::Usage;

/// Tokens of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Label `type`: `input` or `output`.
    pub token_type: &'static str,
    /// Label `part`.
    pub part: &'static str,
    /// How many; may be 0.
    pub tokens: u64,
}

/// Cuts a record into its parts. Where a provider's details exceed their total, the total is right.
pub fn parts(usage: &Usage) -> [Part; 5] {
    let cached = usage.cached_input.min(usage.input);
    let cache_write = usage.cache_write.min(usage.input.saturating_sub(cached));
    let uncached = usage.input.saturating_sub(cached).saturating_sub(cache_write);
    let reasoning = usage.reasoning.min(usage.output);
    let answer = usage.output.saturating_sub(reasoning);
    [
        Part { token_type: "input", part: "uncached", tokens: uncached },
        Part { token_type: "input", part: "cached", tokens: cached },
        Part { token_type: "input", part: "cache_write", tokens: cache_write },
        Part { token_type: "output", part: "answer", tokens: answer },
        Part { token_type: "output", part: "reasoning", tokens: reasoning },
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollgate_core::UsageSource;

    use super::*;

    fn record(input: u64, output: u64, cached_input: u64, cache_write: u64, reasoning: u64) -> Usage {
        Usage { input, output, cached_input, cache_write, reasoning, source: UsageSource::Reported }
    }

    #[test]
    fn a_record_is_cut_along_its_details() {
        let tokens = parts(&record(100, 50, 60, 10, 20)).map(|part| (part.part, part.tokens));
        let expected = [("uncached", 30), ("cached", 60), ("cache_write", 10), ("answer", 30), ("reasoning", 20)];
        assert_eq!(tokens, expected);
    }

    proptest! {
        #[test]
        fn the_parts_of_a_type_sum_to_the_providers_total(
            input: u64, output: u64, cached: u64, write: u64, reasoning: u64,
        ) {
            let parts = parts(&record(input, output, cached, write, reasoning));
            let sum = |token_type| -> u128 {
                parts.iter().filter(|p| p.token_type == token_type).map(|p| u128::from(p.tokens)).sum()
            };
            prop_assert_eq!(sum("input"), u128::from(input));
            prop_assert_eq!(sum("output"), u128::from(output));
        }
    }
}
