//! A post and a first page in a conversation of 20,000 messages, against one of 20.

use std::time::Instant;

use crate::http::{Connection, Request};
use crate::load::{self, Until};
use crate::report::{Limit, Report, Row, median, millis, number, ratio};
use crate::site::{Conversation, Engine, Site, User};

/// Posts, each of which is two messages with its reply.
const LONG: u32 = 10_000;
const SHORT: u32 = 10;
/// So many short ones, as each grows while it is measured.
const SHORT_ONES: usize = 200;
const FILLERS: u32 = 50;
const ROUNDS: usize = 7;

pub async fn measure(report: &mut Report) {
    for engine in Engine::BOTH {
        let site = Site::start(engine).await;
        let user = site.sign_up("reader").await;
        let long = long(&site, &user).await;
        let short = short(&site, &user).await;
        let long_posts = vec![long.post; SHORT_ONES];
        let long_pages = vec![long.page; SHORT_ONES];
        let (short_posts, short_pages): (Vec<_>, Vec<_>) = short.into_iter().map(|it| (it.post, it.page)).unzip();
        // The pages first, as the posts make the short ones longer.
        compare(report, "first page", engine, &site, [&long_pages, &short_pages]).await;
        compare(report, "post", engine, &site, [&long_posts, &short_posts]).await;
    }
}

async fn long(site: &Site, user: &User) -> Conversation {
    let long = site.converse(user).await;
    let fill = vec![long.post.clone(); usize::try_from(FILLERS).unwrap_or_default()];
    load::run(site.address(), fill, Until::Asked(LONG / FILLERS)).await;
    long
}

async fn short(site: &Site, user: &User) -> Vec<Conversation> {
    let mut all = Vec::with_capacity(SHORT_ONES);
    for _ in 0..SHORT_ONES {
        all.push(site.converse(user).await);
    }
    for some in all.chunks(50) {
        let posts = some.iter().map(|it| it.post.clone()).collect();
        load::run(site.address(), posts, Until::Asked(SHORT - 1)).await;
    }
    all
}

async fn compare(report: &mut Report, what: &str, engine: Engine, site: &Site, requests: [&[Request]; 2]) {
    let [mut long, mut short] = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        long.push(round(site, requests[0]).await);
        short.push(round(site, requests[1]).await);
    }
    let name = engine.name();
    report.rounds(&format!("{what} in ms, 20,000 messages, {name}"), &long);
    report.rounds(&format!("{what} in ms, 20 messages, {name}"), &short);
    report.row(Row {
        measure: format!("a {what} where there are 20,000 messages, {name}, against 20"),
        value: ratio(&long, &short),
        unit: "x",
        of: format!("({} against {} ms)", number(median(&long)), number(median(&short))),
        bound: Some(Limit::AtMost(1.2)),
        aim: None,
    });
}

/// One after the other; the median of their times.
async fn round(site: &Site, requests: &[Request]) -> f64 {
    site.settle().await;
    let mut connection = Connection::open(site.address()).await;
    let mut times = Vec::with_capacity(requests.len());
    for request in requests {
        let sent = Instant::now();
        connection.ask(request).await;
        times.push(millis(sent.elapsed()));
    }
    median(&times)
}
