//! Which rows events make: the same live and rebuilt, and in batches of any size.

use domain::ids::{ConversationId, MessageId, UserId};
use projections::Embeddings;
use projections::embeddings::{MODEL, Near, Nearest, has_others_alone, nearest};
use projector::rebuild;
use store::{Position, fresh_id};
use tests::scribe::Scribe;
use tests::{Dice, Stage, on_both_engines};

use crate::cast::{
    all, completed, conversation_deleted, count, dump, embedded, empty, feed, message_deleted, near, posted, record,
    requested, started, story,
};

fn people(count: usize) -> Vec<UserId> {
    (0..count).map(|_| fresh_id()).collect()
}

on_both_engines! {
    // One vector that is odd makes nobody's others another model's.
    async fn a_length_is_another_where_nobody_has_it(stage: Stage) {
        let model = stage.embeddings().await;
        let (room, ann, bob) = (fresh_id(), fresh_id(), fresh_id());
        let (one, two) = (fresh_id(), fresh_id());
        let given = [embedded(one, ann, "mine", &[1.0, 2.0, 3.0]), embedded(two, ann, "mine", &[1.0, 2.0])];
        let said = [started(room, ann, false), posted(one, room, ann, "one"), posted(two, room, ann, "two")];
        feed(&model, &[said.as_slice(), given.as_slice()].concat(), 5).await;
        for (who, name, dimension, others) in
            [(ann, "mine", 2, false), (ann, "mine", 3, false), (ann, "mine", 4, true), (ann, "other", 4, false),
                (ann, MODEL, 256, false), (ann, MODEL, 255, true), (bob, "mine", 4, false)]
        {
            let found = has_others_alone(model.db(), who, name, dimension).await.unwrap();
            assert_eq!(found, others, "{name} {dimension}");
        }
    }

    async fn live_and_rebuilt_are_equal(stage: Stage) {
        let live = stage.embeddings().await;
        stage.relay();
        stage.project_as::<Embeddings>(&live);
        let (mut dice, mut scribe) = (Dice::cast(), Scribe::new(&stage.log));
        record(&mut scribe, &story(&mut dice, &people(2), 500)).await;
        stage.settle(&live).await;
        let before = dump(live.db()).await;
        assert!(before.len() > 300, "little is left to compare");
        rebuild::<Embeddings>(&stage.log, &live, |_, _| {}).await.unwrap();
        assert!(dump(live.db()).await == before, "rebuilt, it is another");
        let (ann, room) = (fresh_id(), fresh_id());
        record(&mut scribe, &[started(room, ann, false), posted(fresh_id(), room, ann, "hello")]).await;
        stage.settle(&live).await;
        assert_eq!(near(&live, &all(ann), "hello", 10).await.len(), 1, "life goes on");
    }

    async fn batches_of_any_size_make_the_same_rows(stage: Stage) {
        let live = stage.embeddings().await;
        let events = story(&mut Dice::cast(), &people(1), 700);
        let mut dumps = Vec::new();
        for size in [1, 13, 10_000] {
            feed(&live, &events, size).await;
            dumps.push(dump(live.db()).await);
            empty(&live).await;
        }
        assert!(dumps[0].len() > 400);
        assert!(dumps[0] == dumps[1] && dumps[1] == dumps[2], "other batches, other rows");
        assert!(dumps[0].iter().any(|row| row.starts_with("vector_blocks")) || stage.postgres.is_some());
    }

    async fn a_reply_is_found_when_it_has_ended_and_a_deleted_message_never(stage: Stage) {
        let live = stage.embeddings().await;
        let (ann, room, reply) = (fresh_id(), fresh_id(), fresh_id());
        feed(&live, &[started(room, ann, false), requested(reply, room, ann)], 9).await;
        assert_eq!(near(&live, &all(ann), "espresso", 10).await.len(), 0);
        feed(&live, &[completed(reply, ann, "Espresso takes nine bars.")], 9).await;
        let found = near(&live, &all(ann), "espresso", 10).await;
        assert_eq!(found.iter().map(|it| it.message).collect::<Vec<_>>(), [reply]);
        assert_eq!((found[0].conversation, found[0].role.as_str(), found[0].position.get()), (room, "bot", 2));
        assert!(found[0].distance > 0.0 && found[0].distance < 0.7, "{}", found[0].distance);
        assert_eq!(near(&live, &all(fresh_id()), "espresso", 10).await.len(), 0, "it is ann's");
        feed(&live, &[message_deleted(reply, room, ann), completed(reply, ann, "too late")], 9).await;
        assert_eq!(near(&live, &all(ann), "espresso", 10).await.len(), 0);
        assert_eq!(count(&live, "vectors").await, 0);
    }

    async fn a_deleted_conversation_takes_its_vectors_along(stage: Stage) {
        let live = stage.embeddings().await;
        let (ann, kept, gone) = (fresh_id(), fresh_id(), fresh_id());
        let mut events = vec![started(kept, ann, true), started(gone, ann, true)];
        for number in 0..300 {
            let message = fresh_id::<MessageId>();
            events.push(posted(message, gone, ann, &format!("secret {number}")));
            events.push(embedded(message, ann, "mine", &[1.0, 0.5]));
        }
        events.push(posted(fresh_id(), kept, ann, "secret of the kept one"));
        feed(&live, &events, 100).await;
        assert_eq!(near(&live, &all(ann), "secret", 1_000).await.len(), 301);
        feed(&live, &[conversation_deleted(gone, ann)], 1).await;
        assert_eq!(near(&live, &all(ann), "secret", 1_000).await.len(), 1);
        assert_eq!((count(&live, "vectors").await, count(&live, "vector_favourites").await), (1, 1));
        let (kept_apart, left) = if stage.postgres.is_some() { ("vector_sketches", 1) } else { ("vector_blocks", 0) };
        assert_eq!(count(&live, kept_apart).await, left, "nothing of it is left");
    }

    async fn a_clients_own_vectors_are_kept_apart_and_given_again(stage: Stage) {
        let live = stage.embeddings().await;
        let (ann, room) = (fresh_id::<UserId>(), fresh_id::<ConversationId>());
        let messages: Vec<MessageId> = (0..600).map(|_| fresh_id()).collect();
        feed(&live, &[started(room, ann, false)], 1).await;
        for message in &messages {
            feed(&live, &[posted(*message, room, ann, "the same")], 1).await;
        }
        let angle = |number: u16| {
            let angle = f32::from(number) / 600.0;
            // Of any length: a direction is all that counts.
            [angle.cos() * 1.0e30, angle.sin() * 1.0e30]
        };
        let given: Vec<_> = messages.iter().zip(0..).map(|(message, number)| embedded(*message, ann, "mine", &angle(number))).collect();
        feed(&live, &given, 250).await;
        let ask = async |vector: &[f32], limit| {
            let query = Nearest { among: &all(ann), model: "mine", vector, limit };
            nearest(live.db(), &query).await.unwrap().into_iter().map(|it| it.message).collect::<Vec<_>>()
        };
        assert_eq!(ask(&[1.0, 0.0], 600).await, messages, "in the order of their angles");
        // The first becomes the last.
        feed(&live, &[embedded(messages[0], ann, "mine", &[-1.0, 0.0]), embedded(messages[1], ann, "mine", &angle(0))], 9).await;
        let now = ask(&[1.0, 0.0], 600).await;
        assert_eq!((now[0], now[1], now[599]), (messages[1], messages[2], messages[0]));
        assert_eq!(count(&live, "vectors").await, 1_200);
        assert_eq!(ask(&[0.0, 1.0, 0.0], 10).await, [], "of another dimension there is none");
    }

    async fn what_is_as_near_comes_newest_first_and_each_once_over_all_pages(stage: Stage) {
        use projections::embeddings::{Page, embed, page};
        let live = stage.embeddings().await;
        let (ann, room) = (fresh_id(), fresh_id());
        let texts = ["ok", "ok then", "well ok", "no"];
        let mut events = vec![started(room, ann, false)];
        events.extend((0..3_000).map(|number| posted(fresh_id(), room, ann, texts[number % 4])));
        feed(&live, &events, 400).await;
        let vector = embed("ok").unwrap();
        let among = all(ann);
        let query = Nearest { among: &among, model: MODEL, vector: &vector, limit: 37 };
        let (mut seen, mut after) = (Vec::<Near>::new(), None);
        loop {
            let Page { found, next } = page(live.db(), &query, after).await.unwrap();
            assert!(found.len() == 37 || next.is_none());
            seen.extend(found);
            after = next;
            if after.is_none() {
                break;
            }
            if seen.len() == 74 {
                // What is nearest of all comes in between, and moves nothing.
                feed(&live, &[posted(fresh_id(), room, ann, "ok"), posted(fresh_id(), room, ann, "ok")], 2).await;
            }
        }
        assert_eq!(seen.len(), 1_000, "nobody looks further");
        let in_order = |pair: &[Near]| {
            let (one, next) = (&pair[0], &pair[1]);
            one.distance < next.distance || (one.distance.total_cmp(&next.distance).is_eq() && one.position > next.position)
        };
        assert!(seen.windows(2).all(in_order));
        assert!(seen[..750].iter().all(|near| near.distance < 1e-6), "all that are the same come first");
        assert!(live.position().await.unwrap() > Position::new(3_002));
    }
}

#[tokio::test]
async fn a_sketch_follows_its_vector() {
    let stage = Stage::postgres_nats().await;
    let live = stage.embeddings().await;
    let (ann, room, one, other) = (fresh_id(), fresh_id(), fresh_id(), fresh_id());
    let wide = |seed: f32| (0..100_u8).map(|n| (f32::from(n) * seed).sin()).collect::<Vec<f32>>();
    let said = |id| posted(id, room, ann, "?!");
    let given = |id, seed| embedded(id, ann, "wide", &wide(seed));
    feed(&live, &[started(room, ann, false), said(one), said(other), given(one, 0.3), given(other, 0.7)], 9).await;
    assert_eq!((count(&live, "vector_sketches").await, count(&live, DIFFERENT).await), (2, 2));
    feed(&live, &[given(one, 0.7)], 9).await;
    assert_eq!((count(&live, "vector_sketches").await, count(&live, DIFFERENT).await), (2, 1));
}

const DIFFERENT: &str = "(select distinct sketch from vector_sketches) as different";
