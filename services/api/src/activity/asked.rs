//! Which rows somebody asks for, as they type it.

use std::net::IpAddr;
use std::str::FromStr;

use domain::Timestamp;
use projections::token_activity::{Filter, Kind, Outcome};

use crate::time;

/// Which rows are wanted, unparsed.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Some, with commas between them.
    pub kind: Option<String>,
    pub outcome: Option<String>,
    pub address: Option<String>,
    /// A moment, or how long ago: `24h`.
    pub since: Option<String>,
    pub until: Option<String>,
}

/// What is wrong with one parameter; never what was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    pub field: &'static str,
    pub message: String,
}

impl Asked {
    /// The rows of everybody that are asked for; or all that is wrong.
    pub fn filter(&self, now: Timestamp) -> Result<Filter, Vec<Unfit>> {
        let mut unfit = Vec::new();
        let kinds = self.kind.as_deref().map(|list| list.split(',').map(str::trim).map(Kind::from_str).collect());
        let kinds = take(&mut unfit, "kind", kinds, || format!("must be some of: {}", words(Kind::ALL, Kind::as_str)));
        let outcome = take(&mut unfit, "outcome", self.outcome.as_deref().map(Outcome::from_str), || {
            format!("must be one of: {}", words(Outcome::ALL, Outcome::as_str))
        });
        let address = self.address.as_deref().map(|text| text.trim().parse::<IpAddr>());
        let address = take(&mut unfit, "address", address, || "must be an IP address".to_owned());
        let mut moment = |field, text: &Option<String>| {
            let moment = text.as_deref().map(|text| time::moment(text, now).ok_or(()));
            take(&mut unfit, field, moment, || "must be a moment like 2026-01-31T12:00:00Z, 24h or 7d".to_owned())
        };
        let (since, until) = (moment("since", &self.since), moment("until", &self.until));
        let ip = address.map(|address| address.to_canonical().to_string());
        let kinds = kinds.unwrap_or_default();
        let filter = Filter { user: None, kinds, outcome, ip, reader: None, since, until };
        if unfit.is_empty() { Ok(filter) } else { Err(unfit) }
    }
}

fn take<T, E>(
    unfit: &mut Vec<Unfit>,
    field: &'static str,
    parsed: Option<Result<T, E>>,
    message: impl Fn() -> String,
) -> Option<T> {
    parsed.and_then(|parsed| parsed.map_err(|_| unfit.push(Unfit { field, message: message() })).ok())
}

fn words<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> String {
    all.iter().copied().map(word).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

    #[test]
    fn what_is_not_asked_for_sets_no_bound() {
        assert_eq!(Asked::default().filter(NOW), Ok(Filter::default()));
    }

    #[test]
    fn everything_can_be_asked_for_at_once() {
        let asked = Asked {
            kind: Some("sign_in, token_reused".to_owned()),
            outcome: Some("refused".to_owned()),
            address: Some("2001:DB8:0::1".to_owned()),
            since: Some("24h".to_owned()),
            until: Some("2026-01-01T00:00:00Z".to_owned()),
        };
        let filter = asked.filter(NOW).unwrap();
        assert_eq!(filter.kinds, [Kind::SignIn, Kind::TokenReused]);
        assert_eq!((filter.outcome, filter.ip.as_deref()), (Some(Outcome::Refused), Some("2001:db8::1")));
        assert_eq!((filter.since, filter.until), (Some(NOW.plus_seconds(-86_400)), Some(NOW)));
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        for (typed, meant) in [("::ffff:1.2.3.4", "1.2.3.4"), (" ::FFFF:102:304 ", "1.2.3.4"), ("1.2.3.4", "1.2.3.4")] {
            let asked = Asked { address: Some(typed.to_owned()), ..Asked::default() };
            assert_eq!(asked.filter(NOW).unwrap().ip.as_deref(), Some(meant), "{typed}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_and_nothing_repeated() {
        let wrong = || Some("hunter2".to_owned());
        let asked = Asked { kind: wrong(), outcome: wrong(), address: wrong(), since: wrong(), until: wrong() };
        let unfit = asked.filter(NOW).unwrap_err();
        let fields: Vec<_> = unfit.iter().map(|it| it.field).collect();
        assert_eq!(fields, ["kind", "outcome", "address", "since", "until"]);
        assert!(unfit.iter().all(|it| !it.message.contains("hunter2")));
        for kind in ["", "sign_in,", "sign_in,,audit_read", "Sign_In"] {
            assert!(Asked { kind: Some(kind.to_owned()), ..Asked::default() }.filter(NOW).is_err(), "{kind:?}");
        }
    }
}
