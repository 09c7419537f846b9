//! How many in how long, as it is configured.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// So many in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub most: NonZeroU32,
    pub unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Second,
    Minute,
    Hour,
    Day,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a number of at least 1, alone or with /second, /minute, /hour or /day, such as 10/minute")]
pub struct NotARate;

impl Rate {
    /// How long a window is.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        match self.unit {
            Unit::Second => 1,
            Unit::Minute => 60,
            Unit::Hour => 3_600,
            Unit::Day => 86_400,
        }
    }

    /// How many a window takes.
    #[must_use]
    pub const fn most(self) -> usize {
        self.most.get() as usize
    }
}

impl Unit {
    const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.most, self.unit.as_str())
    }
}

impl FromStr for Rate {
    type Err = NotARate;

    /// A bare number is for a minute.
    fn from_str(text: &str) -> Result<Self, NotARate> {
        let (most, unit) = text.trim().split_once('/').unwrap_or((text.trim(), Unit::Minute.as_str()));
        if !most.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(NotARate);
        }
        let unit = Unit::ALL.into_iter().find(|it| it.as_str() == unit).ok_or(NotARate)?;
        Ok(Self { most: most.parse().map_err(|_| NotARate)?, unit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_it_is_written() {
        for (text, most, seconds) in
            [("10/second", 10, 1), ("1/minute", 1, 60), ("600/hour", 600, 3_600), ("7/day", 7, 86_400)]
        {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.most(), rate.seconds(), rate.to_string().as_str()), (most, seconds, text));
        }
    }

    #[test]
    fn a_bare_number_is_for_a_minute() {
        assert_eq!(" 30 ".parse::<Rate>().unwrap().to_string(), "30/minute");
    }

    #[test]
    fn whatever_else_is_none() {
        for text in [
            "",
            "0",
            "0/minute",
            "-1",
            "+1",
            "1.5",
            "off",
            "10/",
            "/minute",
            "10/week",
            "10/minutes",
            "10 /minute",
            "10/Minute",
            "4294967296",
        ] {
            assert_eq!(text.parse::<Rate>(), Err(NotARate), "{text}");
        }
    }
}
