//! What may be spent in how long, as it is configured.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// So much in a day or a month of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Tokens, or millionths of a US dollar.
    pub most: u64,
    pub of: Good,
    pub per: Period,
}

crate::words! {
    /// Whose budget it is.
    Spender {
        User = "user",
        Key = "key",
    }
}

crate::words! {
    /// What is spent.
    Good {
        Tokens = "tokens",
        Cost = "cost",
    }
}

crate::words! {
    Period {
        Day = "day",
        Month = "month",
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be so much for a day or a month")]
pub struct NotABudget;

/// What something takes, or took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    pub tokens: u64,
    /// Millionths of a US dollar.
    pub micros: u64,
}

impl Budget {
    /// How a client hears of it: `user_tokens_per_day`.
    #[must_use]
    pub fn name(self, of: Spender) -> String {
        format!("{of}_{}_per_{}", self.of, self.per)
    }

    /// Some, with commas between, such as `200000/day` or `2.50/day, 20/month`; at most one for each period.
    pub fn read(text: &str, of: Good) -> Result<Vec<Self>, NotABudget> {
        let mut all = Vec::<Self>::new();
        for part in text.split(',') {
            let (most, per) = part.trim().split_once('/').ok_or(NotABudget)?;
            let most = match of {
                Good::Tokens => number(most)?,
                Good::Cost => millionths(most)?,
            };
            let per = per.parse().map_err(|_| NotABudget)?;
            if most == 0 || all.iter().any(|other| other.per == per) {
                return Err(NotABudget);
            }
            all.push(Self { most, of, per });
        }
        Ok(all)
    }
}

fn number(text: &str) -> Result<u64, NotABudget> {
    let are_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // What a database takes.
    let number = text.parse().ok().filter(|number| i64::try_from(*number).is_ok());
    number.filter(|_| are_digits).ok_or(NotABudget)
}

/// Digit by digit: a cost is money, and stays exact.
fn millionths(dollars: &str) -> Result<u64, NotABudget> {
    let (whole, fraction) = dollars.split_once('.').unwrap_or((dollars, "0"));
    if !(1..=6).contains(&fraction.len()) {
        return Err(NotABudget);
    }
    let (whole, fraction) = (number(whole)?, number(&format!("{fraction:0<6}"))?);
    let sum = whole.checked_mul(1_000_000).and_then(|whole| whole.checked_add(fraction));
    sum.filter(|sum| i64::try_from(*sum).is_ok()).ok_or(NotABudget)
}

impl Amount {
    #[must_use]
    pub const fn of(self, good: Good) -> u64 {
        match good {
            Good::Tokens => self.tokens,
            Good::Cost => self.micros,
        }
    }

    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        let tokens = self.tokens.saturating_add(other.tokens);
        Self { tokens, micros: self.micros.saturating_add(other.micros) }
    }
}

const SECONDS_OF_DAY: i64 = 86_400;
/// From the first of March of the year 0 until 1970.
const DAYS_BEFORE_1970: i64 = 719_468;
const DAYS_OF_400_YEARS: i64 = 146_097;

impl Period {
    /// The first day of the period that a day is in; days count from 1970 on.
    #[must_use]
    pub const fn first_day(self, day: i64) -> i64 {
        match self {
            Self::Day => day,
            Self::Month => day - day_of_month(day),
        }
    }

    /// When the period that a day is in ends.
    #[must_use]
    pub const fn ends_at(self, day: i64) -> Timestamp {
        let next = match self {
            Self::Day => day + 1,
            // Of whichever length the month is, this is in the next one.
            Self::Month => self.first_day(self.first_day(day) + 31),
        };
        Timestamp::from_micros(0).plus_seconds(next.saturating_mul(SECONDS_OF_DAY))
    }
}

/// How many days of its month came before it. Years are counted from March on here, so that a leap day is a year's last.
const fn day_of_month(day: i64) -> i64 {
    let day = (day + DAYS_BEFORE_1970).rem_euclid(DAYS_OF_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    day_of_year - (153 * month + 2) / 5
}

/// On which day a moment is, counted from 1970 on.
#[must_use]
pub const fn day_of(at: Timestamp) -> i64 {
    at.as_seconds().div_euclid(SECONDS_OF_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_as_they_are_written() {
        let read = |text, of| {
            let named = |it: Budget| (it.most, it.name(Spender::User));
            Budget::read(text, of).map(|all| all.into_iter().map(named).collect::<Vec<_>>())
        };
        let name = str::to_owned;
        assert_eq!(read("200000/day", Good::Tokens), Ok(vec![(200_000, name("user_tokens_per_day"))]));
        let both = vec![(2_500_000, name("user_cost_per_day")), (20_000_000, name("user_cost_per_month"))];
        assert_eq!(read("2.50/day, 20/month", Good::Cost), Ok(both));
        assert_eq!(read(" 0.000001/month ", Good::Cost), Ok(vec![(1, name("user_cost_per_month"))]));
    }

    #[test]
    fn whatever_else_is_none() {
        for text in ["", "5", "5/", "/day", "0/day", "-1/day", "+1/day", "5/week", "5/Day", "5 /day", "5/day,", "x/day"]
        {
            assert_eq!(Budget::read(text, Good::Tokens), Err(NotABudget), "{text:?}");
            assert_eq!(Budget::read(text, Good::Cost), Err(NotABudget), "{text:?}");
        }
        for text in ["1.5/day", "5/day,6/day", "9223372036854775808/day", "99999999999999999999/day"] {
            assert_eq!(Budget::read(text, Good::Tokens), Err(NotABudget), "{text:?}");
        }
        for text in
            ["1./day", ".5/day", "0.0000001/day", "0.000000/day", "1.-5/day", "1.2.3/day", "9223372036854775807/day"]
        {
            assert_eq!(Budget::read(text, Good::Cost), Err(NotABudget), "{text:?}");
        }
    }

    #[test]
    fn a_month_is_the_calendars() {
        // From 2024-01-01 on: a leap year, and one that is none.
        let (mut first, lengths) = (19_723, [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]);
        let next = lengths.map(|days| if days == 29 { 28 } else { days });
        for length in lengths.into_iter().chain(next) {
            for day in first..first + length {
                assert_eq!(Period::Month.first_day(day), first);
                assert_eq!(day_of(Period::Month.ends_at(day)), first + length);
                assert_eq!((Period::Day.first_day(day), day_of(Period::Day.ends_at(day))), (day, day + 1));
            }
            first += length;
        }
        // 1970-01-01, 1969-12-31, 2000-02-29, 2100-03-01.
        for (day, first) in [(0, 0), (-1, -31), (11_016, 10_988), (47_541, 47_541), (47_540, 47_513)] {
            assert_eq!(Period::Month.first_day(day), first, "{day}");
        }
    }

    #[test]
    fn a_day_begins_with_its_first_microsecond() {
        for (micros, day) in [(0, 0), (-1, -1), (86_399_999_999, 0), (86_400_000_000, 1)] {
            assert_eq!(day_of(Timestamp::from_micros(micros)), day);
        }
    }
}
