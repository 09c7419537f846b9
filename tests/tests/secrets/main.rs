//! No secret in logs, events, read models, exports, errors or files: a story is told with secrets that can be recognised,
//! by a program that says as much as it can, and then everything that was written is searched for each of them.
#![expect(clippy::unwrap_used, reason = "a test's words are its panics")]

mod search;
mod story;
mod teller;
mod written;

use tests::{Service, Stage, on_both_engines};

use crate::search::Haystacks;
use crate::story::{BOOTSTRAP, MARKER, METRICS};
use crate::teller::Teller;

/// All that every crate has to say.
const NOISE: &str = "trace";

async fn nothing_tells_a_secret(stage: Stage, algorithm: &str) {
    let settings = [
        ("ALGORITHM", algorithm),
        ("API_KEY", BOOTSTRAP),
        ("METRICS_USER", METRICS.0),
        ("METRICS_PASS", METRICS.1),
        ("COLLOQUY_LOG", NOISE),
        // On, so that there is something in its tables.
        ("RATE_LIMIT_SIGN_IN", "10000/minute"),
    ];
    let mut service = Service::start(stage, &settings).await;
    let Teller { secrets, mut heard, .. } = Teller::tell(&service).await;
    service.settle().await;
    heard.extend(written::tables(&service.stage).await);
    assert!(service.node.terminate().await.success());
    heard.add("the server's log", service.node.logs());
    heard.extend(written::files(&service.stage));
    let logs = service.node.logs();
    for words in ["listening on http://", r#""level":"DEBUG""#] {
        assert!(logs.contains(words), "{words} is not in the log: its beginning is lost, or it is quiet");
    }

    // What must be there is found.
    let mut places = heard.with(MARKER);
    places.sort_unstable();
    for place in
        ["GET of 200", "GET of 404", "audit tokens", "the server's log", "the table activity", "the table events"]
    {
        assert!(places.iter().any(|it| it.starts_with(place)), "the marker is not in {place}: {places:?}");
    }
    for table in ["refresh_successors", "limits", "known_addresses", "sign_ins", "api_keys", "messages"] {
        assert!(heard.has(&format!("the table {table}")), "nothing is in {table}");
    }
    assert_eq!(heard.has("the table signing_keys"), algorithm == "EdDSA", "HS256 signs with SECRET_KEY itself");
    assert!(secrets.len() > 30, "{}", secrets.len());
    let found: Vec<_> = secrets.iter().filter_map(|(what, secret)| heard.first_with(what, secret)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

on_both_engines! {
    async fn nothing_tells_a_secret_with_hs256(stage: Stage) {
        nothing_tells_a_secret(stage, "HS256").await;
    }

    async fn nothing_tells_a_secret_with_eddsa(stage: Stage) {
        nothing_tells_a_secret(stage, "EdDSA").await;
    }
}

#[test]
fn a_secret_is_found_however_it_is_written() {
    let token = "crt_KioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioq0701xA";
    let raw = [&b"\xff\x00"[..], &[0x2a; 32], b"\xff"].concat();
    for written in [
        token.into(),
        format!("{{\"t\":\"{}\"}}", &token[4..]).into(),
        raw,
        "2a".repeat(32).into(),
        "2A".repeat(32).into(),
        vec!["42"; 32].join(", ").into(),
    ] {
        let mut heard = Haystacks::default();
        heard.add("here", written);
        assert!(heard.first_with("token", token).is_some());
    }
    let mut heard = Haystacks::default();
    heard.add("here", "crt_ 2a2a KioqKioq");
    assert!(heard.first_with("token", token).is_none());
    let (access, key) = ("eyJh.eyJzdWIi.c2lnbmF0dXJl", "cak_0123_c2VjcmV0LWhhbGY");
    heard.add("there", "a c2lnbmF0dXJl b c2VjcmV0LWhhbGY c");
    assert!(heard.first_with("access token", access).is_some() && heard.first_with("key", key).is_some());
}
