//! How a reply is asked for.

use serde::{Deserialize, Serialize};

use super::Invalid;

/// How freely a model speaks, from 0 to 2, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Temperature(u16);

/// How long a reply may become, in the model's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct MaxTokens(u32);

impl Temperature {
    const MOST: u16 = 2;

    #[must_use]
    pub fn get(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }
}

impl TryFrom<f64> for Temperature {
    type Error = Invalid;

    fn try_from(number: f64) -> Result<Self, Invalid> {
        if !(0.0..=f64::from(Self::MOST)).contains(&number) {
            return Err(Invalid::OutOfRange(0, Self::MOST.into()));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 2000")]
        Ok(Self((number * 1_000.0).round() as u16))
    }
}

impl From<Temperature> for f64 {
    fn from(temperature: Temperature) -> Self {
        temperature.get()
    }
}

impl MaxTokens {
    pub const MOST: u32 = 200_000;

    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for MaxTokens {
    type Error = Invalid;

    fn try_from(number: u32) -> Result<Self, Invalid> {
        if (1..=Self::MOST).contains(&number) { Ok(Self(number)) } else { Err(Invalid::OutOfRange(1, Self::MOST)) }
    }
}

impl From<MaxTokens> for u32 {
    fn from(tokens: MaxTokens) -> Self {
        tokens.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temperature_is_from_0_to_2_and_comes_back_as_it_was() {
        for number in [0.0, 0.7, 1.0, 1.999, 2.0] {
            let temperature = Temperature::try_from(number).unwrap();
            assert_eq!(serde_json::to_string(&temperature).unwrap(), serde_json::to_string(&number).unwrap());
        }
        for number in [-0.001, 2.001, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Temperature::try_from(number), Err(Invalid::OutOfRange(0, 2)));
        }
    }

    #[test]
    fn a_reply_may_have_at_least_one_token() {
        assert_eq!(MaxTokens::try_from(1).map(MaxTokens::get), Ok(1));
        assert_eq!(MaxTokens::try_from(MaxTokens::MOST).map(MaxTokens::get), Ok(MaxTokens::MOST));
        for number in [0, MaxTokens::MOST + 1, u32::MAX] {
            assert_eq!(MaxTokens::try_from(number), Err(Invalid::OutOfRange(1, MaxTokens::MOST)));
        }
    }
}
