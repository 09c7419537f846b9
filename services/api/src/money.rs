//! Amounts as clients read them: of tokens, or of money.

use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Millionths of a US dollar, as a number of dollars that is exact, however many they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dollars(pub(crate) i64);

/// So many, or so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Quantity {
    Count(u64),
    Money(Dollars),
}

impl Dollars {
    const MICROS: i64 = 1_000_000;

    fn text(self) -> String {
        let text = format!("{}.{:06}", self.0 / Self::MICROS, self.0 % Self::MICROS);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.text()).map_err(Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_exact() {
        for (micros, text) in [
            (0, "0"),
            (1, "0.000001"),
            (10, "0.00001"),
            (1_500_000, "1.5"),
            (10_000_000, "10"),
            (i64::MAX, "9223372036854.775807"),
        ] {
            assert_eq!(serde_json::to_string(&Dollars(micros)).ok().as_deref(), Some(text));
            assert_eq!(serde_json::to_string(&Quantity::Money(Dollars(micros))).ok().as_deref(), Some(text));
        }
        assert_eq!(serde_json::json!(Quantity::Money(Dollars(2_500_000))), serde_json::json!(2.5));
        assert_eq!(serde_json::json!(Quantity::Count(7)), serde_json::json!(7));
    }
}
