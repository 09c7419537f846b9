//! What limits cost whom they never stop: `POST /api/v1/chat` with windows that nobody fills, against none. And what a hundred
//! thousand windows take.

use std::future::ready;
use std::process::id;
use std::time::Duration;

use domain::limit::Window;
use futures::StreamExt;
use futures::stream::iter;
use store::limits::{Limits, States};
use store::{Clock, Db, on};

use crate::http::Request;
use crate::load::{self, Until};
use crate::replies::proc::kilobytes;
use crate::report::{Limit, Report, Row, median, number, ratio};
use crate::site::{Engine, Site};

/// So many keep both cores busy; and so few that the machine waits for them a part of its time.
const MANY: usize = 256;
const FEW: usize = 64;
const ROUND: Duration = Duration::from_secs(2);
/// A round differs from the next by a tenth and more: many of them tell what a hundredth is.
const ROUNDS: usize = 15;
const LEAST: f64 = 0.9;
const HIGH: &str = "10000000/minute";
const WINDOWS: usize = 100_000;
const FULL: usize = 10;
const AT_ONCE: usize = 2_000;

pub async fn measure(report: &mut Report) {
    for engine in Engine::BOTH {
        let free = Site::start(engine).await;
        let limited = Site::limited(engine, [HIGH, HIGH]).await;
        let exact = Site::limited(engine, [HIGH, "1000/minute"]).await;
        let sites = [(&free, posts(&free).await), (&limited, posts(&limited).await), (&exact, posts(&exact).await)];
        for (connections, bound, aim) in
            [(MANY, Some(Limit::AtLeast(LEAST)), None), (FEW, None, Some(Limit::AtLeast(LEAST)))]
        {
            // So few would come to the end of a thousand.
            let sites = sites.get(..if connections == MANY { 3 } else { 2 }).unwrap_or_default();
            let rounds = in_turn(sites, connections).await;
            let name = format!("{connections} connections, {}", engine.name());
            let [off, on, users @ ..] = rounds.as_slice() else { unreachable!("two sites at least") };
            compare(report, &format!("{name}, with limits that nobody reaches"), [off, on], bound, aim);
            for users in users {
                let name = format!("{name}, each user's window exact to the microsecond");
                compare(report, &name, [off, users], None, Some(Limit::AtLeast(LEAST)));
            }
        }
        drop(sites);
        drop((free, exact));
        room(report, engine, limited).await;
    }
}

/// The rounds of each site, but for the first, which warms up.
async fn in_turn(sites: &[(&Site, Vec<Request>)], connections: usize) -> Vec<Vec<f64>> {
    let mut rounds = vec![Vec::new(); sites.len()];
    for turn in 0..=ROUNDS {
        for ((site, posts), rounds) in sites.iter().zip(&mut rounds) {
            let per_second = round(site, posts, connections).await;
            if turn > 0 {
                rounds.push(per_second);
            }
        }
    }
    rounds
}

fn compare(report: &mut Report, name: &str, [off, on]: [&[f64]; 2], bound: Option<Limit>, aim: Option<Limit>) {
    report.rounds(&format!("POST chat a second without limits, {name}"), off);
    report.rounds(&format!("POST chat a second with limits, {name}"), on);
    let [of_off, of_on] = [off, on].map(|rounds| number(median(rounds)));
    report.row(Row {
        measure: format!("POST chat, {name}, against none"),
        value: ratio(on, off),
        unit: "x",
        of: format!("({of_on} against {of_off} a second)"),
        bound,
        aim,
    });
}

async fn posts(site: &Site) -> Vec<Request> {
    let mut posts = Vec::with_capacity(MANY);
    for number in 0..MANY {
        let user = site.sign_up(&format!("user{number}")).await;
        posts.push(site.converse(&user).await.post);
    }
    posts
}

async fn round(site: &Site, posts: &[Request], connections: usize) -> f64 {
    let posts = posts.iter().take(connections).cloned().collect();
    let load = load::run(site.address(), posts, Until::Elapsed(ROUND)).await;
    let per_second = f64::from(u32::try_from(load.times.len()).expect("fewer answers")) / load.took.as_secs_f64();
    site.settle().await;
    per_second
}

/// A window for each of many users, and all of them full.
async fn room(report: &mut Report, engine: Engine, mut site: Site) {
    let before = kilobytes(id());
    let kept = site
        .paused(async |db| {
            let limits = Limits::open(&db, Clock::System).await.expect("limits");
            let empty = size(limits.db()).await;
            let fill = |turn: usize| limits.decide(vec![format!("turns of {}", turn % WINDOWS)], admit);
            let all = iter(0..WINDOWS * FULL).map(fill).buffer_unordered(AT_ONCE);
            let admitted = all.filter(|it| ready(matches!(it, Ok(true)))).count().await;
            assert_eq!(admitted, WINDOWS * FULL, "all of them were admitted");
            size(limits.db()).await - empty
        })
        .await;
    let grown = (kilobytes(id()) - before) / 1e3;
    report.row(Row {
        measure: format!("{WINDOWS} users with a full window of {FULL} each, {}", engine.name()),
        value: kept.max(grown),
        unit: " MB",
        of: format!("({} MB kept; whoever decided on them grew by {} MB)", number(kept), number(grown)),
        bound: Some(Limit::AtMost(100.0)),
        aim: None,
    });
}

fn admit(states: &mut States<'_>) -> bool {
    let (rate, now) = ("10/minute".parse().expect("a rate"), states.now());
    let mut window: Window = states.get(0);
    let is_admitted = window.admit(now, rate).is_ok();
    // None is forgotten meanwhile.
    let end = window.expires_at(rate).plus_seconds(600);
    states.keep(0, window, end);
    is_admitted
}

/// In millions of bytes.
async fn size(db: &Db) -> f64 {
    let sql = match db {
        Db::Sqlite(_) => "select page_count * page_size from pragma_page_count(), pragma_page_size()",
        Db::Postgres(_) => "select pg_total_relation_size('limits')",
    };
    let bytes: i64 = on!(db, pool => sqlx::query_scalar(sql).fetch_one(pool).await).expect("its size");
    f64::from(u32::try_from(bytes / 1_000).expect("less than all there is")) / 1e3
}
