//! The read model of the audit log: each event its row, every way of asking, live equal to rebuilt.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

mod cast;
mod clocks;
mod lists;

use std::collections::BTreeSet;

use domain::ids::UserId;
use domain::user::claim::ClaimEvent;
use domain::{Event, Timestamp};
use projections::token_activity::{self, Activity, Filter, Kind, Outcome};
use projections::{Change, Projection, TokenActivity};
use projector::rebuild;
use serde_json::json;
use store::{Position, ReadModel};
use tests::scribe::Scribe;
use tests::{Stage, on_both_engines};

use crate::cast::{DIGEST, HASH, IDENTIFIER, dump, every_event, id, profile, registered, request, same, tell};

/// The read model, kept up to date, and who writes its log.
async fn open(stage: &Stage) -> (ReadModel, Scribe) {
    let live = stage.token_activity().await;
    stage.relay();
    stage.project_as::<TokenActivity>(&live);
    (live, Scribe::new(&stage.log))
}

async fn all(model: &ReadModel, filter: &Filter) -> Vec<Activity> {
    let end = Position::new(i64::MAX);
    let page = token_activity::oldest(model.db(), filter, Position::START, end, 10_000).await.unwrap();
    assert!(!page.more);
    page.rows
}

on_both_engines! {
    async fn every_event_is_its_row_and_shows_no_secret(stage: Stage) {
        let (live, mut scribe) = open(&stage).await;
        let mut expected = Vec::new();
        for ((event, kind, user, token, reason), number) in every_event().into_iter().zip(1..) {
            let metadata = request(number);
            let at = scribe.record(&event, &metadata).await;
            expected.push(Activity {
                position: Position::new(i64::from(number)),
                at,
                kind,
                user,
                username: user.map(|_| "ann".to_owned()),
                token,
                actor: metadata.user,
                actor_session: metadata.session,
                actor_key: metadata.key,
                outcome: kind.outcome(),
                reason: reason.map(str::to_owned),
                ip: metadata.ip,
                user_agent: metadata.user_agent,
                request_id: metadata.request_id,
                node: metadata.node,
            });
        }
        stage.settle(&live).await;
        assert_eq!(all(&live, &Filter::default()).await, expected);
        let seen: BTreeSet<Kind> = expected.iter().map(|row| row.kind).collect();
        assert_eq!(seen, Kind::ALL.iter().copied().collect(), "a kind that no event makes");
        let text = dump(live.db()).await.concat();
        for secret in [HASH, IDENTIFIER, &format!("{DIGEST:02x}").repeat(32), &format!("{DIGEST:02X}").repeat(32)] {
            assert!(!text.contains(secret), "{secret} is shown");
        }
    }

    async fn what_is_not_of_tokens_makes_no_row(stage: Stage) {
        let (live, mut scribe) = open(&stage).await;
        scribe.record(&Event::Claim(id(5), ClaimEvent::Released { by: id(1) }), &request(1)).await;
        let ann = store::fresh_id();
        let room = scribe.start(ann).await;
        scribe.post(ann, room, "hello").await;
        scribe.delete(ann, room).await;
        stage.settle(&live).await;
        assert_eq!(dump(live.db()).await, [""; 0]);
    }

    async fn a_row_without_an_actor_says_so(stage: Stage) {
        let (live, mut scribe) = open(&stage).await;
        scribe.write("user", id::<UserId>(1), "UserDisabled", json!({})).await;
        stage.settle(&live).await;
        let rows = all(&live, &Filter::default()).await;
        assert_eq!((rows[0].actor, &rows[0].ip, &rows[0].username, rows[0].request_id.as_str()), (None, &None, &None, "test"));
    }

    async fn somebody_is_shown_by_the_name_of_today(stage: Stage) {
        let (live, mut scribe) = open(&stage).await;
        let name = async || {
            stage.settle(&live).await;
            all(&live, &Filter::default()).await[0].username.clone()
        };
        let ann = id(1);
        scribe.record(&registered(ann, None, Some("Ann@example.com")), &request(1)).await;
        assert_eq!(name().await.as_deref(), Some("Ann@example.com"));
        scribe.record(&profile(ann, Some("Ann"), Some("ann@example.com")), &request(2)).await;
        assert_eq!(name().await.as_deref(), Some("Ann"));
        scribe.record(&profile(ann, None, None), &request(3)).await;
        assert_eq!(name().await.as_deref(), Some("New Name"));
    }

    async fn each_filter_and_all_together_give_what_they_say(stage: Stage) {
        let (live, mut scribe) = open(&stage).await;
        for (event, ..) in every_event() {
            scribe.record(&event, &request(1)).await;
        }
        tell(&mut scribe, 4, 120).await;
        stage.settle(&live).await;
        let everything = all(&live, &Filter::default()).await;
        let middle = everything[everything.len() / 2].clone();
        let kinds = vec![Kind::SignIn, Kind::SignInFailed];
        let none = Filter::default();
        let filters = [
            Filter { user: middle.user, ..none.clone() },
            Filter { kinds: kinds.clone(), ..none.clone() },
            Filter { kinds: Kind::ALL.to_vec(), ..none.clone() },
            Filter { kinds: vec![Kind::SignIn; 2], ..none.clone() },
            Filter { kinds: kinds.clone(), outcome: Some(Outcome::Ok), ..none.clone() },
            Filter { outcome: Some(Outcome::Refused), ..none.clone() },
            Filter { outcome: Some(Outcome::Suspicious), ..none.clone() },
            Filter { ip: middle.ip.clone(), ..none.clone() },
            Filter { ip: middle.ip.clone(), reader: middle.actor, ..none.clone() },
            Filter { reader: Some(id(77)), ..none.clone() },
            Filter { since: Some(middle.at), ..none.clone() },
            Filter { until: Some(middle.at), ..none.clone() },
            Filter { ip: middle.ip.clone(), reader: Some(id(77)), ..none.clone() },
            Filter { kinds: vec![Kind::SignIn], outcome: Some(Outcome::Refused), ..none.clone() },
            Filter { kinds: kinds.clone(), since: Some(middle.at), ip: middle.ip.clone(), ..none.clone() },
            Filter { user: middle.user, since: Some(middle.at), kinds, ..none.clone() },
            Filter { outcome: Some(Outcome::Ok), until: Some(middle.at), ip: middle.ip.clone(), user: middle.user, ..none },
        ];
        for (number, filter) in filters.into_iter().enumerate() {
            let expected: Vec<_> = everything.iter().filter(|row| fits(&filter, row)).cloned().collect();
            // These fit something, however the dice fall.
            assert!(!expected.is_empty() || number > 11, "nothing fits {filter:?}");
            assert_eq!(all(&live, &filter).await, expected, "{filter:?}");
            let mut newest = token_activity::newest(live.db(), &filter, None, 10_000).await.unwrap().rows;
            newest.reverse();
            assert_eq!(newest, expected, "{filter:?}");
        }
        let nobody = Filter { user: Some(id(77)), ..Filter::default() };
        assert_eq!(all(&live, &nobody).await, []);
    }

    async fn pages_give_everything_once_whichever_way(stage: Stage) {
        let (live, mut scribe) = open(&stage).await;
        tell(&mut scribe, 3, 60).await;
        stage.settle(&live).await;
        let kinds = Kind::ALL.to_vec();
        for filter in [
            Filter::default(),
            Filter { user: Some(id(2)), ..Filter::default() },
            Filter { kinds, since: Some(Timestamp::from_micros(1)), ..Filter::default() },
        ] {
            let expected = all(&live, &filter).await;
            let (mut backwards, mut before) = (Vec::new(), None);
            loop {
                let page = token_activity::newest(live.db(), &filter, before, 7).await.unwrap();
                assert!(page.rows.len() == 7 || !page.more);
                before = page.rows.last().map(|row| row.position);
                backwards.extend(page.rows);
                if !page.more {
                    break;
                }
            }
            backwards.reverse();
            assert_eq!(backwards, expected);
            let (mut forwards, mut after) = (Vec::new(), Position::START);
            let end = expected[expected.len() - 2].position;
            loop {
                let page = token_activity::oldest(live.db(), &filter, after, end, 7).await.unwrap();
                after = page.rows.last().map_or(after, |row| row.position);
                forwards.extend(page.rows);
                if !page.more {
                    break;
                }
            }
            assert_eq!(forwards, expected[..expected.len() - 1], "up to a place, and no further");
        }
    }

    async fn live_and_rebuilt_are_equal(stage: Stage) {
        let (live, mut scribe) = open(&stage).await;
        tell(&mut scribe, 5, 150).await;
        stage.settle(&live).await;
        let before = dump(live.db()).await;
        assert!(before.len() > 150, "little is left to compare");
        rebuild::<TokenActivity>(&stage.log, &live, |_, _| {}).await.unwrap();
        same(&dump(live.db()).await, &before);
        tell(&mut scribe, 2, 5).await;
        stage.settle(&live).await;
        assert!(dump(live.db()).await.len() > before.len(), "life goes on");
    }

    async fn batches_of_any_size_make_the_same_rows(stage: Stage) {
        let live = stage.token_activity().await;
        let mut scribe = Scribe::new(&stage.log);
        tell(&mut scribe, 3, 120).await;
        let events = stage.log.read(Position::START, 10_000).await.unwrap();
        let changes: Vec<Change> = events.iter().map(|event| Change::try_from(event).unwrap()).collect();
        let mut dumps = Vec::new();
        for size in [1, 7, changes.len()] {
            for chunk in changes.chunks(size) {
                let mut batch = live.begin().await.unwrap();
                TokenActivity::apply(&mut batch.tx, chunk).await.unwrap();
                batch.commit(chunk.last().unwrap().position).await.unwrap();
            }
            dumps.push(dump(live.db()).await);
            empty(&live).await;
        }
        assert!(dumps[0].len() > 120);
        same(&dumps[0], &dumps[1]);
        same(&dumps[0], &dumps[2]);
    }
}

async fn empty(model: &ReadModel) {
    let mut batch = model.begin().await.unwrap();
    for table in ["activity", "sign_ins", "api_keys", "known_users"] {
        let delete = format!("delete from {table}");
        store::on_tx!(&mut batch.tx, connection => sqlx::query(&delete).execute(connection).await.map(|_| ())).unwrap();
    }
    batch.commit(Position::START).await.unwrap();
}

/// What the filter means, in other words than its SQL.
fn fits(filter: &Filter, row: &Activity) -> bool {
    let wanted = |at: Option<Timestamp>, holds: fn(Timestamp, Timestamp) -> bool| at.is_none_or(|at| holds(row.at, at));
    filter.user.is_none_or(|user| row.user == Some(user))
        && (filter.kinds.is_empty() || filter.kinds.contains(&row.kind))
        && filter.outcome.is_none_or(|outcome| row.outcome == outcome)
        && filter.ip.as_ref().is_none_or(|ip| {
            let told = filter.reader.is_none_or(|reader| row.actor.is_none_or(|actor| actor == reader));
            told && row.ip.as_ref() == Some(ip)
        })
        && wanted(filter.since, |at, since| at >= since)
        && wanted(filter.until, |at, until| at < until)
}
