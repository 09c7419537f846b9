//! What it costs to let in who has an access token: requests that end right after that, against the same without it.

use std::time::{Duration, Instant};

use crate::http::{Connection, Request};
use crate::report::{Limit, Report, Row, median, number};
use crate::site::{Site, User};

/// Both refuse a body that is no JSON, before they look at anything else; one of them wants to know who sends it.
const GUARDED: &str = "/api/v1/chat";
const PUBLIC: &str = "/api/v1/users/login";
const REFUSED: u16 = 415;
const TOKENS: usize = 1_000;
const ROUNDS: usize = 5;

pub async fn measure(report: &mut Report) {
    for algorithm in ["HS256", "EdDSA"] {
        let site = Site::signing(algorithm).await;
        let user = site.sign_up("ann").await;
        let mut connection = Connection::open(site.address()).await;
        let (mut first, mut again) = (Vec::new(), Vec::new());
        // All of them at first: that one is used tells that the refresh token that came with it has arrived.
        let tokens = tokens(&mut connection, &user).await;
        for tokens in tokens.chunks(TOKENS) {
            first.push(cost(&mut connection, tokens).await);
            again.push(cost(&mut connection, tokens).await);
        }
        for (when, rounds) in [("for the first time", &first), ("again", &again)] {
            report.rounds(&format!("checking an {algorithm} token {when} in µs"), rounds);
            report.row(Row {
                measure: format!("checking an access token {when}, {algorithm}"),
                value: median(rounds),
                unit: " µs",
                of: format!("(of {} tokens)", number(f64::from(u32::try_from(TOKENS).expect("few tokens")))),
                bound: None,
                aim: Some(Limit::AtMost(100.0)),
            });
        }
    }
}

/// New ones of one sign-in: who repeats a refresh gets the same refresh token, and another access token.
async fn tokens(connection: &mut Connection, user: &User) -> Vec<String> {
    let refresh = Request::refresh(&user.refresh_token);
    let mut tokens = Vec::with_capacity(ROUNDS * TOKENS);
    while tokens.len() < ROUNDS * TOKENS {
        tokens.push(User::of(&connection.json(&refresh).await).token);
    }
    tokens
}

/// In microseconds; the medians' difference, as both are taken in turn.
async fn cost(connection: &mut Connection, tokens: &[String]) -> f64 {
    let (mut guarded, mut public) = (Vec::new(), Vec::new());
    for token in tokens {
        guarded.push(time(connection, &Request::bare_post(GUARDED, token)).await);
        public.push(time(connection, &Request::bare_post(PUBLIC, token)).await);
    }
    median(&guarded) - median(&public)
}

async fn time(connection: &mut Connection, request: &Request) -> f64 {
    let sent = Instant::now();
    let (status, _) = connection.send(request).await;
    let took: Duration = sent.elapsed();
    assert_eq!(status, REFUSED, "nothing else is measured");
    took.as_secs_f64() * 1e6
}
