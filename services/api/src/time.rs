//! A moment as clients read it and write it: RFC 3339, in UTC, with its zone.

use std::fmt;

use domain::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Timestamp);

impl Time {
    /// Since 1970.
    pub(crate) const fn seconds(self) -> i64 {
        self.0.as_micros().div_euclid(1_000_000)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let time = String::deserialize(deserializer)?.parse::<jiff::Timestamp>();
        let time = time.map_err(|_| D::Error::custom("no moment"))?;
        Ok(Self(Timestamp::from_micros(time.as_microsecond())))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0.as_micros()) {
            Ok(time) => time.fmt(f),
            // Too far away for a calendar.
            Err(_) => self.0.as_micros().fmt(f),
        }
    }
}

/// A moment as somebody types it: RFC 3339, or how long ago: `90s`, `15m`, `24h`, `7d`, `4w`.
#[must_use]
pub fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp::from_micros(time.as_microsecond()));
    }
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let count: u32 = text.strip_suffix(unit)?.parse().ok()?;
    Some(now.plus_seconds(-seconds * i64::from(count)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        for (text, seconds) in [
            ("2026-01-01T00:00:00Z", 0),
            ("2026-01-01T01:00:00+01:00", 0),
            ("2025-12-31T23:59:59.000000Z", -1),
            ("0s", 0),
            ("90s", -90),
            ("15m", -900),
            (" 24h ", -86_400),
            ("7d", -604_800),
            ("4w", -2_419_200),
        ] {
            assert_eq!(moment(text, NOW), Some(NOW.plus_seconds(seconds)), "{text}");
        }
    }

    #[test]
    fn whatever_else_is_none() {
        for text in [
            "",
            "h",
            "24",
            "-1h",
            "1.5h",
            "24 h",
            "99999999999d",
            "yesterday",
            "2026-01-01",
            "é",
            "2026-13-01T00:00:00Z",
        ] {
            assert_eq!(moment(text, NOW), None, "{text}");
        }
    }

    #[test]
    fn a_time_is_shown_in_utc() {
        assert_eq!(Time(NOW).to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(Time(Timestamp::from_micros(1)).to_string(), "1970-01-01T00:00:00.000001Z");
        assert_eq!(Time(Timestamp::from_micros(i64::MAX)).to_string(), i64::MAX.to_string());
    }
}
