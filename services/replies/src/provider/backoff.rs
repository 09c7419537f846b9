//! How long a retry waits: full jitter, so that those who failed together don't return together.

use std::time::Duration;

/// How often one provider is tried for one reply.
pub const TRIES: u32 = 3;

const BASE: Duration = Duration::from_millis(250);
const CAP: Duration = Duration::from_secs(4);

/// Anything from nothing to `BASE` doubled for each failure so far; `random` is from 0 to 1.
pub fn delay(failures: u32, random: f64) -> Duration {
    let doubled = BASE.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    doubled.min(CAP).mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_longest_wait_up_to_the_cap() {
        let longest: Vec<_> = (1..=6).map(|failures| delay(failures, 1.0).as_millis()).collect();
        assert_eq!(longest, [250, 500, 1_000, 2_000, 4_000, 4_000]);
        assert_eq!(delay(u32::MAX, 1.0), CAP);
    }

    #[test]
    fn the_wait_is_anything_up_to_that() {
        assert_eq!(delay(3, 0.0), Duration::ZERO);
        assert_eq!(delay(3, 0.5), Duration::from_millis(500));
    }
}
