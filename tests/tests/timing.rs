//! Nobody can tell by the clock whether somebody has an account.
//!
//! Each round tries all three ways to fail, one right after the other, in an order that alternates. What is compared is
//! the median over the rounds of the ratio of two tries *of the same round*: whatever else the machine does slows both.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tests::{Service, Stage};

const ROUNDS: usize = 300;
const WARM_UP: usize = 10;
const MOST: f64 = 0.05;

/// Ways to fail: a wrong password, nobody of that name, an account that is disabled.
const NAMES: [&str; 3] = ["ann@example.com", "nobody@example.com", "bob@example.com"];

/// How long it takes to be told that this does not do.
async fn refused(service: &Service, name: &str) -> Duration {
    let body = json!({"email": name, "password": "not-the-password"});
    let request = service.request(Method::POST, "/api/v1/users/login").json(&body);
    let begun = Instant::now();
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 401);
    // Read to its end, so that the connection is used again.
    let read = answer.bytes().await.unwrap();
    let took = begun.elapsed();
    assert!(!read.is_empty());
    took
}

async fn round(service: &Service, number: usize) -> [Duration; 3] {
    let mut took = [Duration::ZERO; 3];
    for turn in 0..3 {
        // Forwards and backwards, each time beginning with another.
        let which = if number.is_multiple_of(2) { (number / 2 + turn) % 3 } else { (number / 2 + 3 - turn) % 3 };
        took[which] = refused(service, NAMES[which]).await;
    }
    took
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

#[tokio::test]
async fn who_is_refused_can_not_tell_why_by_the_clock() {
    let service = Service::start(Stage::sqlite().await, &[]).await;
    for name in ["ann", "bob"] {
        service.operate(["user", "create", name, "--email", &format!("{name}@example.com")]).await;
    }
    service.operate(["user", "disable", "bob"]).await;
    for number in 0..WARM_UP {
        round(&service, number).await;
    }
    let mut rounds = Vec::new();
    for number in 0..ROUNDS {
        rounds.push(round(&service, number).await.map(|took| took.as_secs_f64()));
    }
    let alone: Vec<f64> = (0..3).map(|which| median(rounds.iter().map(|took| took[which]).collect())).collect();
    for (which, why) in [(1, "nobody of that name"), (2, "a disabled account")] {
        let ratio = median(rounds.iter().map(|took| took[which] / took[0]).collect());
        assert!((ratio - 1.0).abs() < MOST, "{why} takes {ratio:.3} of a wrong password; medians in s: {alone:.4?}");
    }
    assert!(alone[0] > 0.005, "a password can't have been hashed in {:.4} s", alone[0]);
}
