//! What tokens cost.

use std::collections::BTreeMap;
use std::str::FromStr;

/// For a model, what a million tokens cost, in millionths of a US dollar.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prices(BTreeMap<String, Price>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Price {
    prompt: u64,
    completion: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be like provider/model=0.15/0.60; …, in dollars for a million tokens of the prompt and of the answer")]
pub struct NotPrices;

const MILLION: u64 = 1_000_000;

impl Prices {
    /// In millionths of a dollar, to the nearest.
    pub(super) fn cost(&self, model: &str, prompt: u32, completion: u32) -> Option<u64> {
        let price = self.0.get(model)?;
        let sum = u128::from(price.prompt) * u128::from(prompt) + u128::from(price.completion) * u128::from(completion);
        u64::try_from((sum + u128::from(MILLION / 2)) / u128::from(MILLION)).ok()
    }
}

impl FromStr for Prices {
    type Err = NotPrices;

    fn from_str(text: &str) -> Result<Self, NotPrices> {
        let mut prices = BTreeMap::new();
        for entry in text.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (model, price) = entry.split_once('=').ok_or(NotPrices)?;
            let (prompt, completion) = price.split_once('/').ok_or(NotPrices)?;
            let price = Price { prompt: millionths(prompt)?, completion: millionths(completion)? };
            let model = model.trim();
            if !model.contains('/') || prices.insert(model.to_owned(), price).is_some() {
                return Err(NotPrices);
            }
        }
        Ok(Self(prices))
    }
}

/// Digit by digit: a price is money, and stays exact.
fn millionths(dollars: &str) -> Result<u64, NotPrices> {
    let dollars = dollars.trim();
    let (whole, fraction) = dollars.split_once('.').unwrap_or((dollars, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(fraction) || fraction.len() > 6 {
        return Err(NotPrices);
    }
    let parsed = |text: &str| text.parse::<u64>().map_err(|_| NotPrices);
    let (whole, fraction) = (parsed(whole)?, parsed(&format!("{fraction:0<6}"))?);
    whole.checked_mul(MILLION).and_then(|whole| whole.checked_add(fraction)).ok_or(NotPrices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_cost_what_the_configuration_says() {
        let prices: Prices = "openai/gpt-4o-mini=0.15/0.60; groq/a/b=2/10.5".parse().unwrap();
        assert_eq!(prices.cost("openai/gpt-4o-mini", 1_000_000, 1_000_000), Some(750_000));
        assert_eq!(prices.cost("openai/gpt-4o-mini", 10, 5), Some(5), "4.5 is rounded up");
        assert_eq!(prices.cost("openai/gpt-4o-mini", 3, 1), Some(1), "1.05 is rounded down");
        assert_eq!(prices.cost("groq/a/b", 0, 2), Some(21));
        assert_eq!(prices.cost("groq/c", 1, 1), None);
        assert_eq!(prices.cost("groq/a/b", u32::MAX, u32::MAX), Some(53_687_091_188));
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for text in [
            "a/b",
            "a/b=1",
            "a/b=1/",
            "a/b=-1/2",
            "a/b=1e3/2",
            "a/b=.5/1",
            "a/b=1/2;a/b=3/4",
            "b=1/2",
            "a/b=0.1234567/1",
        ] {
            assert_eq!(text.parse::<Prices>(), Err(NotPrices), "{text}");
        }
        let astronomical = format!("a/b={}/1", u64::MAX);
        assert_eq!(astronomical.parse::<Prices>(), Err(NotPrices));
    }
}
