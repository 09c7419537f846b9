//! What a query finds.

use domain::chat::place::Speaker;
use domain::ids::{ConversationId, MessageId, UserId};
use projections::history::Role;
use projections::search::{self, Among, Sought, Terms, UnfitQuery};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use store::{ReadModel, fresh_id};
use tests::{Stage, on_both_engines};
use uuid::Uuid;

use crate::cast::{
    all, completed, conversation_deleted, favoured, feed, found, given, interrupted, message_deleted, moment, page,
    posted, requested, said_by, sought, started, stopped,
};

/// A conversation with these messages in it.
async fn room(model: &ReadModel, owner: UserId, texts: &[&str]) -> (ConversationId, Vec<MessageId>) {
    let (room, ids): (ConversationId, Vec<MessageId>) = (fresh_id(), texts.iter().map(|_| fresh_id()).collect());
    let posts = ids.iter().zip(texts).map(|(id, text)| posted(*id, room, owner, text));
    feed(model, &std::iter::once(started(room, owner)).chain(posts).collect::<Vec<_>>(), 100).await;
    (room, ids)
}

const TEXTS: [&str; 9] = [
    "The quick brown fox jumps over the lazy dog",
    "A QUICK fox, and a brown one: quick-witted!",
    "Ein Übermut tut selten gut, ein CAFÉ schon",
    "call foo_bar(&x) at https://example.com/a/b?q=fox or <div class=\"note\">it</div>",
    "東京へ行く。明日は京都に行きます",
    "서울에서 만나요",
    "fox",
    "हिन्दी में खोज, ภาษาไทยไม่มีช่องว่าง",
    "it's 1,000.50 € at 10:30 — AT&T's \\ 'price' %d %%",
];

const FINDS: &[(&str, &[usize])] = &[
    ("fox", &[0, 1, 3, 6]),
    ("FOX quick", &[0, 1]),
    ("quick fox", &[0, 1]),
    ("\"quick fox\"", &[1]),
    ("\"quick brown fox\"", &[0]),
    ("\"fox quick\"", &[]),
    ("fox -quick", &[3, 6]),
    ("fox -\"brown fox\"", &[1, 3, 6]),
    ("fox -qui*", &[3, 6]),
    ("qui*", &[0, 1]),
    ("quic*", &[0, 1]),
    ("\"brown fo\"*", &[0]),
    ("qu", &[]),
    ("q*", &[3]),
    ("quick-witted", &[1]),
    ("ubermut", &[2]),
    ("ÜBERMUT cafe\u{301}", &[2]),
    ("foo_bar", &[3]),
    ("foo", &[3]),
    ("example.com/a", &[3]),
    ("div note it", &[3]),
    ("東京", &[4]),
    ("京都", &[4]),
    ("行き", &[4]),
    ("都京", &[]),
    ("서울*", &[5]),
    ("서울", &[]),
    ("हिन्दी", &[7]),
    ("हन्दी", &[]),
    ("ไทย", &[7]),
    ("1,000.50", &[8]),
    ("AT&T", &[8]),
    ("\\ 'price'", &[8]),
    ("%", &[]),
    ("nothing of this", &[]),
];

on_both_engines! {
    async fn words_phrases_beginnings_and_what_is_left_out(stage: Stage) {
        let (live, ann, bob) = (stage.search().await, fresh_id(), fresh_id());
        let (_, ids) = room(&live, ann, &TEXTS).await;
        room(&live, bob, &TEXTS).await;
        for (query, expected) in FINDS.iter().filter(|(query, _)| Terms::parse(query).is_ok()) {
            let expected: Vec<_> = expected.iter().map(|number| ids[*number]).collect();
            assert_eq!(found(&live, &all(ann), query).await, expected, "{query}");
        }
    }

    async fn a_hit_says_what_it_is_and_why_it_was_found(stage: Stage) {
        let (live, ann) = (stage.search().await, fresh_id());
        let (conversation, ids) = room(&live, ann, &TEXTS).await;
        let hits = page(&live, &sought(&all(ann), "fox \"div class\""), None, 10).await.hits;
        assert_eq!(hits.len(), 1);
        assert_eq!((hits[0].message, hits[0].conversation, hits[0].role), (ids[3], conversation, Role::User));
        assert_eq!(hits[0].created_at, moment(5));
        assert!(hits[0].score > 0.0);
        let snippet = "call foo_bar(&amp;x) at https://example.com/a/b?q=<mark>fox</mark> or &lt;<mark>div class</mark>=&quot;note&quot;&gt;it&lt;/div&gt;";
        assert_eq!(hits[0].snippet, snippet);
    }

    async fn what_is_short_and_full_of_it_comes_first(stage: Stage) {
        let (live, ann) = (stage.search().await, fresh_id());
        let long = format!("sea {}", "and other words ".repeat(40));
        let (_, ids) = room(&live, ann, &["sea sea sea", &long, "nothing", "the blue sea"]).await;
        let hits = page(&live, &sought(&all(ann), "sea"), None, 10).await.hits;
        let order: Vec<_> = hits.iter().map(|hit| hit.message).collect();
        assert_eq!((order[0], order[2]), (ids[0], ids[1]));
        assert!(hits.is_sorted_by(|one, other| one.score >= other.score));
    }

    async fn a_reply_is_found_when_it_has_ended(stage: Stage) {
        let (live, ann, room) = (stage.search().await, fresh_id(), fresh_id());
        let [a, b, c, d, e]: [MessageId; 5] = std::array::from_fn(|_| fresh_id());
        feed(&live, &[started(room, ann), given(a, room, ann, "word")], 1).await;
        feed(&live, &[b, c, d, e].map(|id| requested(id, room, ann)), 2).await;
        assert_eq!(found(&live, &all(ann), "word").await, [a]);
        feed(&live, &[completed(b, "a word"), stopped(c, ann, "no wo"), interrupted(d, ann, "word by"), stopped(e, ann, "")], 3).await;
        assert_eq!(found(&live, &all(ann), "word").await, [a, b, d]);
        let hits = page(&live, &sought(&all(ann), "by"), None, 10).await.hits;
        assert_eq!((hits[0].role, hits[0].created_at), (Role::Bot, moment(5)), "when it began");
    }

    async fn what_is_deleted_is_found_no_more(stage: Stage) {
        let (live, ann) = (stage.search().await, fresh_id());
        let ((kept, of_kept), (gone, _)) = (room(&live, ann, &["word one", "word two"]).await, room(&live, ann, &["word three"]).await);
        let [late, later]: [MessageId; 2] = std::array::from_fn(|_| fresh_id());
        feed(&live, &[requested(late, gone, ann), requested(later, kept, ann)], 1).await;
        feed(&live, &[message_deleted(of_kept[0], kept, ann), conversation_deleted(gone, ann), message_deleted(later, kept, ann)], 10).await;
        feed(&live, &[completed(late, "word"), completed(later, "word")], 10).await;
        assert_eq!(found(&live, &all(ann), "word").await, [of_kept[1]]);
        assert_eq!(found(&live, &all(ann), "three").await, []);
        for beginning in ["wo*", "wor*", "word*"] {
            assert_eq!(found(&live, &all(ann), beginning).await, [of_kept[1]], "{beginning}");
        }
        assert!(!search::has_conversation(live.db(), ann, gone).await.unwrap());
        assert!(search::has_conversation(live.db(), ann, kept).await.unwrap());
        assert!(!search::has_conversation(live.db(), fresh_id(), kept).await.unwrap());
    }

    async fn each_filter_and_all_together_give_what_they_say(stage: Stage) {
        let (live, ann) = (stage.search().await, fresh_id());
        let (one, other): (ConversationId, ConversationId) = (fresh_id(), fresh_id());
        let [a, b, c, d]: [MessageId; 4] = std::array::from_fn(|_| fresh_id());
        feed(&live, &[
            started(one, ann), started(other, ann),
            posted(a, one, ann, "word"), given(b, one, ann, "word"),
            said_by(Speaker::System, c, other, ann, "word"), said_by(Speaker::Assistant, d, other, ann, "word"),
        ], 10).await;
        feed(&live, &[favoured(one, ann, true), favoured(other, ann, true), favoured(other, ann, false)], 1).await;
        let any = all(ann);
        let cases: [(Among, &[MessageId]); 13] = [
            (any.clone(), &[a, b, c, d]),
            (Among { conversation: Some(one), ..any.clone() }, &[a, b]),
            (Among { conversation: Some(fresh_id()), ..any.clone() }, &[]),
            (Among { role: Some(Role::User), ..any.clone() }, &[a]),
            (Among { role: Some(Role::Bot), ..any.clone() }, &[b]),
            (Among { role: Some(Role::System), ..any.clone() }, &[c]),
            (Among { since: Some(moment(4)), ..any.clone() }, &[b, c, d]),
            (Among { until: Some(moment(4)), ..any.clone() }, &[a]),
            (Among { since: Some(moment(4)), until: Some(moment(6)), ..any.clone() }, &[b, c]),
            (Among { since: Some(moment(7)), ..any.clone() }, &[]),
            (Among { favourite: Some(true), ..any.clone() }, &[a, b]),
            (Among { favourite: Some(false), ..any.clone() }, &[c, d]),
            (Among { conversation: Some(other), role: Some(Role::Assistant), since: Some(moment(6)), until: Some(moment(7)), favourite: Some(false), ..any }, &[d]),
        ];
        for (among, expected) in cases {
            assert_eq!(found(&live, &among, "word").await, expected, "{among:?}");
        }
    }

    // In the index their words look the same.
    async fn owners_with_the_same_mark_have_nothing_in_common(stage: Stage) {
        let live = stage.search().await;
        let owners: [UserId; 2] = [Uuid::from_u128(7), Uuid::from_u128(1 << 100 | 7)].map(UserId::from);
        for owner in owners {
            let (_, ids) = room(&live, owner, &["their word"]).await;
            assert_eq!(found(&live, &all(owner), "word").await, ids);
        }
    }

    async fn a_very_long_message_is_found_by_its_beginning(stage: Stage) {
        let (live, ann, room) = (stage.search().await, fresh_id(), fresh_id());
        let ids: [MessageId; 4] = std::array::from_fn(|_| fresh_id());
        let many: String = (0..100_000).map(|number| format!("w{number}")).collect::<Vec<_>>().join(" ");
        let texts = [format!("begin {many}"), format!("begin {}", "x".repeat(1 << 20)), "begin ".repeat(100_000), format!("begin {}", "語".repeat(300_000))];
        let events: Vec<_> = ids.iter().zip(&texts).map(|(id, text)| given(*id, room, ann, text)).collect();
        feed(&live, &[vec![started(room, ann)], events].concat(), 10).await;
        assert_eq!(found(&live, &all(ann), "begin").await, ids);
        assert_eq!(found(&live, &all(ann), "\"w15000 w15001\"").await, [ids[0]]);
        assert_eq!(found(&live, &all(ann), "w17000").await, []);
        assert_eq!(found(&live, &all(ann), &"X".repeat(500)).await, [ids[1]]);
    }

    async fn no_query_is_too_odd(stage: Stage) {
        let (live, ann) = (stage.search().await, fresh_id());
        let (_, ids) = room(&live, ann, &TEXTS).await;
        room(&live, fresh_id(), &TEXTS).await;
        let odd = prop_oneof![
            "[ \"'*:&|!()<>\\\\^+{}\\[\\]~%$?;,.@#=/_-]{0,20}",
            "([ \"'*:&|!()<>\\\\-]{0,3}(fox|quick|NOT|AND|OR|NEAR|words|東京|é|[a-z]){0,1}){1,12}",
            "\\PC{0,60}",
            any::<String>().prop_map(|text| text.chars().take(200).collect()),
        ];
        let (mut runner, mut asked) = (TestRunner::default(), 0);
        for _ in 0..400 {
            let query = odd.new_tree(&mut runner).unwrap().current();
            match Terms::parse(&query) {
                Ok(terms) => {
                    let sought = Sought { terms, among: all(ann) };
                    let hits = search::search(live.db(), &sought, None, 100).await;
                    let hits = hits.unwrap_or_else(|error| panic!("{query:?}: {}", store::in_full(&error))).hits;
                    assert!(hits.iter().all(|hit| ids.contains(&hit.message)), "{query:?}");
                    asked += 1;
                }
                Err(UnfitQuery::Nul) => assert!(query.contains('\0')),
                Err(UnfitQuery::NoWord | UnfitQuery::TooManyWords | UnfitQuery::TooLong) => {}
            }
        }
        assert!(asked > 50, "only {asked} were queries at all");
        found(&live, &all(ann), &"a ".repeat(64)).await;
        found(&live, &all(ann), &format!("fox {}", "-\"x y\" ".repeat(31))).await;
        found(&live, &all(ann), &format!("\"{}\"", "fox ".repeat(64))).await;
    }
}
