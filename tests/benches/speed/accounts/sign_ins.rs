//! Sign-ins over HTTP, against bare argon2 on as many threads as there are cores.

use std::thread;
use std::time::{Duration, Instant};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::task::spawn_blocking;

use crate::cores::Cores;
use crate::http::Request;
use crate::load::{self, Until};
use crate::report::{Limit, Report, Row, median, number, ratio};
use crate::site::{Engine, PASSWORD, Site};

/// So many that no thread that hashes ever waits for somebody.
const CONNECTIONS: usize = 16;
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;

pub async fn measure(report: &mut Report) {
    for engine in Engine::BOTH {
        compare(report, &Site::start(engine).await, Cores::all()).await;
    }
    let (servers, node) = Cores::split();
    compare(report, &Site::apart(servers, node).await, node).await;
}

/// What the node makes of its cores, against what bare hashes make of them.
async fn compare(report: &mut Report, site: &Site, cores: Cores) {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    site.sign_up("ann").await;
    rate(site).await;
    for _ in 0..ROUNDS {
        ours.push(rate(site).await);
        bare.push(spawn_blocking(move || bare_rate(cores)).await.expect("hashes"));
    }
    let name = site.name();
    report.rounds(&format!("sign-ins a second, {name}"), &ours);
    report.rounds(&format!("bare argon2id a second on the node's cores, {name}"), &bare);
    let (bound, aim) = site.limits(Limit::AtLeast(0.9));
    report.row(Row {
        measure: format!("sign-ins, {CONNECTIONS} connections, {name}, against bare argon2id on the same cores"),
        value: ratio(&ours, &bare),
        unit: "x",
        of: format!("({} against {} a second)", number(median(&ours)), number(median(&bare))),
        bound,
        aim,
    });
}

/// A round ends when the read models have caught up: what is only put off counts.
async fn rate(site: &Site) -> f64 {
    let begun = Instant::now();
    let requests: Vec<Request> = vec![Site::login("ann"); CONNECTIONS];
    let load = load::run(site.address(), requests, Until::Elapsed(ROUND)).await;
    site.settle().await;
    f64::from(u32::try_from(load.times.len()).expect("fewer sign-ins")) / begun.elapsed().as_secs_f64()
}

fn bare_rate(cores: Cores) -> f64 {
    let begun = Instant::now();
    let parameters = Params::new(19_456, 2, 1, None).expect("parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    let hash: PasswordHash = argon2.hash_password(PASSWORD.as_bytes()).expect("a hash");
    let verify = || {
        cores.keep();
        let mut verified = 0_u32;
        while begun.elapsed() < ROUND {
            argon2.verify_password(PASSWORD.as_bytes(), &hash).expect("the password");
            verified += 1;
        }
        verified
    };
    let verified: u32 = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores.count()).map(|_| scope.spawn(verify)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread that ends")).sum()
    });
    f64::from(verified) / begun.elapsed().as_secs_f64()
}
