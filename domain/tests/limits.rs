//! Laws of the sliding window, against a list of all that ever happened.

use domain::Timestamp;
use domain::limit::{Rate, Window};
use proptest::collection::vec;
use proptest::prelude::*;

/// A second in microseconds: the window.
const WINDOW: i64 = 1_000_000;

/// Many at once, many around the window's ends, some long after.
fn steps() -> impl Strategy<Value = Vec<i64>> {
    vec(prop_oneof![Just(0), 0..WINDOW / 3, WINDOW - 1..=WINDOW + 1, 0..9 * WINDOW], 0..200)
}

/// The most that lie in any window.
fn fullest(times: &[i64]) -> usize {
    let within = |start: i64| times.iter().filter(|time| (start..start + WINDOW).contains(time)).count();
    times.iter().map(|time| within(*time)).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_window_admits_exactly_while_there_are_fewer(steps in steps(), most in 1..6usize) {
        let (mut window, rate) = (Window::default(), format!("{most}/second").parse::<Rate>().unwrap());
        let (mut now, mut admitted) = (0, Vec::new());
        for step in steps {
            now += step;
            let before = admitted.iter().filter(|time| now - **time < WINDOW).count();
            prop_assert_eq!(window.used(Timestamp::from_micros(now), rate), before);
            match window.admit(Timestamp::from_micros(now), rate) {
                Ok(()) => {
                    prop_assert!(before < most);
                    admitted.push(now);
                }
                Err(until) => {
                    prop_assert_eq!(before, most);
                    let next = admitted.get(admitted.len() - most).unwrap() + WINDOW;
                    prop_assert_eq!(until.as_micros(), next);
                }
            }
        }
        prop_assert!(fullest(&admitted) <= most);
    }

    #[test]
    fn clocks_that_differ_a_little_admit_no_more(steps in vec((0..WINDOW, -2 * WINDOW..2 * WINDOW), 0..200), most in 1..6usize) {
        let (mut window, rate) = (Window::default(), format!("{most}/second").parse::<Rate>().unwrap());
        let (mut now, mut admitted) = (0, Vec::new());
        for (step, skew) in steps {
            now += step;
            if window.admit(Timestamp::from_micros(now + skew), rate).is_ok() {
                admitted.push(now + skew);
            }
        }
        prop_assert!(fullest(&admitted) <= most);
    }
}
