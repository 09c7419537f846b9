//! The lists of sign-ins and keys that people look at.

use domain::ids::{ApiKeyId, TokenId, UserId};
use domain::token::family::RevokeReason;
use domain::user::EndReason;
use projections::token_activity::{Key, SignIn, keys_of, sign_ins_of};
use serde_json::json;
use store::bulk::{self, Column};
use store::{ReadModel, on};
use tests::{Stage, on_both_engines};
use uuid::Uuid;

use crate::cast::{
    ended, from, id, issued, key_created, key_revoked, key_rotated, moved, request, revoked, rotated, seconds,
};
use crate::open;

async fn open_of(model: &ReadModel, user: u128, now: i64) -> Vec<TokenId> {
    let list = sign_ins_of(model.db(), id(user), seconds(now)).await.unwrap();
    list.into_iter().map(|it| it.id).collect()
}

/// A sign-in of somebody that goes on.
async fn one(model: &ReadModel, user: u128, token: u128) -> SignIn {
    let list = sign_ins_of(model.db(), id(user), seconds(0)).await.unwrap();
    list.into_iter().find(|it| it.id == id(token)).unwrap()
}

/// When a sign-in ended, and why; nothing where it goes on.
async fn end_of(model: &ReadModel, token: u128) -> (Option<i64>, Option<String>) {
    let sql = "select ended_at, ended_reason from sign_ins where id = $1";
    on!(model.db(), pool => sqlx::query_as(sql).bind(Uuid::from_u128(token)).fetch_one(pool).await).unwrap()
}

async fn reason_of(model: &ReadModel, token: u128) -> Option<String> {
    end_of(model, token).await.1
}

/// Keys of somebody, made and at once revoked, one at each of these places.
async fn revoke_many(model: &ReadModel, user: u128, positions: std::ops::Range<i64>) {
    let rows = positions.clone().count();
    let columns = [
        Column::Uuid(positions.clone().map(|position| Uuid::from_u128(position.unsigned_abs().into())).collect()),
        Column::Uuid(vec![Uuid::from_u128(user); rows]),
        Column::Text(vec!["old"; rows]),
        Column::Int(positions.clone().collect()),
    ];
    let sql = "with made (id, user_id, name, position) as ({rows}) \
               insert into api_keys (id, user_id, name, scopes, created_at, revoked_at, position) \
               select id, user_id, name, '', 1, 2, position from made";
    let mut batch = model.begin().await.unwrap();
    bulk::execute(&mut batch.tx, sql, &columns).await.unwrap();
    let upto = batch.position;
    batch.commit(upto).await.unwrap();
}

on_both_engines! {
    async fn a_sign_in_shows_its_last_use_and_from_where(stage: Stage) {
        let (live, mut scribe) = open(&stage).await;
        let (ann, token) = (id::<UserId>(1), id::<TokenId>(2));
        let started_at = scribe.record(&issued(token, ann, 100, 500), &request(1)).await;
        stage.settle(&live).await;
        let expected = SignIn {
            id: token,
            user: ann,
            started_at,
            last_used_at: started_at,
            expires_at: seconds(100),
            ip: Some("192.0.2.7".to_owned()),
            user_agent: Some("firefox".to_owned()),
        };
        assert_eq!(sign_ins_of(live.db(), ann, seconds(99)).await.unwrap(), std::slice::from_ref(&expected));
        assert_eq!(open_of(&live, 1, 100).await, [], "its time is over");

        scribe.record(&rotated(token, ann, 90, 190), &request(2)).await;
        scribe.record(&rotated(token, ann, 180, 280), &request(3)).await;
        scribe.record(&moved(token, ann, from("192.0.2.8", "curl"), from("192.0.2.7", "firefox")), &request(4)).await;
        stage.settle(&live).await;
        let expected = SignIn {
            last_used_at: seconds(180),
            expires_at: seconds(280),
            ip: Some("192.0.2.8".to_owned()),
            user_agent: Some("curl".to_owned()),
            ..expected
        };
        assert_eq!(one(&live, 1, 2).await, expected);
        assert_eq!(end_of(&live, 2).await, (None, None));

        let ended_at = scribe.record(&revoked(token, ann, RevokeReason::SignedOut), &request(5)).await;
        scribe.record(&ended(ann, None, EndReason::Disabled), &request(6)).await;
        stage.settle(&live).await;
        let end = (Some(ended_at.as_micros()), Some("signed_out".to_owned()));
        assert_eq!(end_of(&live, 2).await, end, "what has ended ends no second time");
        assert_eq!(open_of(&live, 1, 0).await, []);
    }

    async fn what_was_not_said_is_nothing_from_the_start_and_later(stage: Stage) {
        let (live, mut scribe) = open(&stage).await;
        scribe.record(&issued(id(2), id(1), 900, 900), &request(1)).await;
        scribe.record(&issued(id(3), id(1), 900, 900), &request(1)).await;
        scribe.record(&moved(id(2), id(1), from("192.0.2.8", ""), from("192.0.2.7", "firefox")), &request(2)).await;
        scribe.record(&moved(id(3), id(1), from("", "curl"), from("192.0.2.7", "firefox")), &request(2)).await;
        stage.settle(&live).await;
        let (nameless, placeless) = (one(&live, 1, 2).await, one(&live, 1, 3).await);
        assert_eq!((nameless.ip.as_deref(), nameless.user_agent), (Some("192.0.2.8"), None));
        assert_eq!((placeless.ip, placeless.user_agent.as_deref()), (None, Some("curl")));
    }

    async fn the_absolute_end_comes_first_where_it_is_earlier(stage: Stage) {
        let (live, mut scribe) = open(&stage).await;
        scribe.record(&issued(id(2), id(1), 900, 500), &request(1)).await;
        // The first version of the event: one access token, and no word of where.
        let fields = json!({"user": id::<UserId>(1), "expires_at": seconds(300)});
        scribe.write("token", id::<TokenId>(3), "TokenIssued", fields).await;
        stage.settle(&live).await;
        assert_eq!(one(&live, 1, 2).await.expires_at, seconds(500));
        let older = one(&live, 1, 3).await;
        assert_eq!((older.expires_at, older.ip, older.user_agent), (seconds(300), None, None));
    }

    async fn ending_all_ends_what_began_before_but_the_kept_one(stage: Stage) {
        let (live, mut scribe) = open(&stage).await;
        for (token, user) in [(11, 1), (12, 1), (13, 1), (21, 2)] {
            scribe.record(&issued(id(token), id(user), 100, 100), &request(1)).await;
        }
        scribe.record(&ended(id(1), Some(id(12)), EndReason::PasswordChanged), &request(2)).await;
        scribe.record(&issued(id(14), id(1), 100, 100), &request(3)).await;
        stage.settle(&live).await;
        assert_eq!(open_of(&live, 1, 0).await, [id(14), id(12)]);
        assert_eq!(open_of(&live, 2, 0).await, [id(21)]);
        assert_eq!(reason_of(&live, 11).await.as_deref(), Some("password_changed"));

        scribe.record(&ended(id(1), None, EndReason::SignedOut), &request(4)).await;
        stage.settle(&live).await;
        assert_eq!(open_of(&live, 1, 0).await, []);
        assert_eq!(reason_of(&live, 11).await.as_deref(), Some("password_changed"));
        assert_eq!(reason_of(&live, 12).await.as_deref(), Some("signed_out_everywhere"));
        assert_eq!(reason_of(&live, 21).await, None);
    }

    async fn keys_are_listed_with_what_befell_them(stage: Stage) {
        let (live, mut scribe) = open(&stage).await;
        let ann = id::<UserId>(1);
        let (one, two) = (id::<ApiKeyId>(5), id::<ApiKeyId>(6));
        let first_at = scribe.record(&key_created(one, ann, "first", Some(seconds(9))), &request(1)).await;
        let second_at = scribe.record(&key_created(two, ann, "second", None), &request(2)).await;
        scribe.record(&key_created(id(7), id(2), "not hers", None), &request(3)).await;
        let rotated_at = scribe.record(&key_rotated(one, ann), &request(4)).await;
        let revoked_at = scribe.record(&key_revoked(two, ann), &request(5)).await;
        stage.settle(&live).await;
        let key = |id, name: &str, created_at| Key {
            id,
            user: ann,
            name: name.to_owned(),
            scopes: "chat:read audit".to_owned(),
            created_at,
            expires_at: None,
            rotated_at: None,
            revoked_at: None,
        };
        let expected = [
            Key { expires_at: Some(seconds(9)), rotated_at: Some(rotated_at), ..key(one, "first", first_at) },
            Key { revoked_at: Some(revoked_at), ..key(two, "second", second_at) },
        ];
        assert_eq!(keys_of(live.db(), ann).await.unwrap(), expected);
        assert_eq!(keys_of(live.db(), id(77)).await.unwrap(), []);
    }

    async fn a_key_in_use_is_seen_before_all_that_are_revoked(stage: Stage) {
        let (live, mut scribe) = open(&stage).await;
        let ann = id::<UserId>(1);
        for (key, name) in [(5, "oldest"), (6, "old")] {
            scribe.record(&key_created(id(key), ann, name, None), &request(1)).await;
        }
        stage.settle(&live).await;
        revoke_many(&live, 1, 1_000..2_100).await;
        let names: Vec<_> = keys_of(live.db(), ann).await.unwrap().into_iter().map(|key| (key.id, key.name)).collect();
        assert_eq!(names.len(), 1_000, "not without end");
        assert_eq!(names[..2], [(id(6), "old".to_owned()), (id(5), "oldest".to_owned())]);
        let ids: Vec<_> = names[2..].iter().map(|(key, _)| *key).collect();
        assert_eq!(ids, (1_102..2_100).rev().map(id::<ApiKeyId>).collect::<Vec<_>>(), "the newest first");
    }
}
