//! What a model costs, and what a call at it cost.

use tollgate_core::Usage;

use crate::models::ModelTable;
use crate::money::NanoUsd;

/// Prices are per so many tokens, as all providers write them.
const PER_TOKENS: u128 = 1_000_000;

/// Dollars per million tokens, by what the tokens are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Prompt tokens that the provider had to read.
    pub input: NanoUsd,
    /// Prompt tokens that it found in its prompt cache.
    pub cached_input: NanoUsd,
    /// Prompt tokens that it wrote to its prompt cache.
    pub cache_write: NanoUsd,
    /// Generated tokens, reasoning included.
    pub output: NanoUsd,
}

/// All prices, by model.
pub type Prices = ModelTable<Price>;

impl Price {
    /// What these tokens cost in nano-dollars: exact, then rounded up once.
    pub fn of(&self, usage: &Usage) -> u64 {
        let plain = usage.input.saturating_sub(usage.cached_input).saturating_sub(usage.cache_write);
        let parts = [
            (plain, self.input),
            (usage.cached_input, self.cached_input),
            (usage.cache_write, self.cache_write),
            (usage.output, self.output),
        ];
        let sum = parts
            .iter()
            .fold(0_u128, |sum, (tokens, price)| sum.saturating_add(u128::from(*tokens) * u128::from(price.0)));
        u64::try_from(sum.div_ceil(PER_TOKENS)).unwrap_or(u64::MAX)
    }

    /// How many output tokens so many nano-dollars pay.
    pub fn output_within(&self, nano_dollars: u64) -> u64 {
        let paid = (u128::from(nano_dollars) * PER_TOKENS).checked_div(u128::from(self.output.0));
        paid.map_or(u64::MAX, |tokens| u64::try_from(tokens).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dollars(text: &str) -> NanoUsd {
        NanoUsd::parse(text).unwrap()
    }

    fn price() -> Price {
        Price {
            input: dollars("3"),
            cached_input: dollars("0.30"),
            cache_write: dollars("3.75"),
            output: dollars("15"),
        }
    }

    #[test]
    fn each_kind_of_token_has_its_price_and_is_paid_once() {
        // litellm#11789, #14849: cached tokens were priced twice, or at the full rate.
        let usage = Usage { input: 1_000, cached_input: 600, cache_write: 300, output: 200, ..Usage::default() };
        let micros = (100 * 300 + 600 * 30 + 300 * 375 + 200 * 1500) / 100;
        assert_eq!(price().of(&usage), micros * 1_000);
    }

    #[test]
    fn the_smallest_call_is_not_free() {
        let cheap = Price { input: dollars("0.0375"), ..price() };
        assert_eq!(cheap.of(&Usage { input: 1, ..Usage::default() }), 38, "37.5 nano-dollars, rounded up");
    }

    proptest! {
        #[test]
        fn more_tokens_never_cost_less_and_absurd_ones_do_not_wrap(
            input: u64, cached_input: u64, cache_write: u64, output in 0..u64::MAX, cost in 0..=u64::MAX / 2,
        ) {
            let price = Price { output: NanoUsd(cost), ..price() };
            let usage = Usage { input, cached_input, cache_write, output, ..Usage::default() };
            let more = Usage { output: output + 1, ..usage };
            prop_assert!(price.of(&usage) <= price.of(&more));
        }
    }
}
