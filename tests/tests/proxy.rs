//! Replies through a proxy that knows nothing of streams: nginx, with its own defaults.
#![expect(clippy::indexing_slicing, reason = "a test's words are its panics")]

use std::time::Duration;

use tests::fake_provider::{Script, Step};
use tests::sse::text;
use tests::{Asker, FakeProvider, Nginx, Service, Stage};
use tokio::time::Instant;

/// A node, and nginx before it. Fields go in order: whoever asks before whoever is asked.
struct Proxied {
    nginx: Nginx,
    _service: Service,
    fake: FakeProvider,
    ann: Asker,
}

impl Proxied {
    async fn start() -> Self {
        let fake = FakeProvider::start().await;
        let address = fake.openai_url();
        let patient = ("AI_IDLE_SECONDS", "300");
        let settings = [("AI_SERVICES__FAKE_BASE_URL", address.as_str()), ("COLLOQUY_MODEL", "fake/one"), patient];
        let service = Service::start(Stage::sqlite().await, &settings).await;
        let nginx = Nginx::before(service.node.address()).await;
        let ann = Asker::register(&nginx.url(), "ann").await;
        Self { nginx, _service: service, fake, ann }
    }
}

#[tokio::test]
async fn each_piece_comes_before_the_next_is_said() {
    let house = Proxied::start().await;
    let pieces = ["one ", "둘 ", "three ", "4", " 👋"];
    let steps = pieces.iter().flat_map(|piece| [Step::Text((*piece).to_owned()), Step::Gate]);
    house.fake.then(Script::of(steps.chain([Step::Finish("stop")]).collect()));
    let mut events = house.ann.stream(&house.nginx.url(), "one").await;
    let mut seen = vec![events.said().await.expect("a start")];
    for (said, piece) in pieces.iter().enumerate() {
        let upto = pieces[..=said].concat();
        while text(&seen) != upto {
            assert!(upto.starts_with(&text(&seen)), "{seen:?} before {piece:?} was let go");
            seen.push(events.said().await.expect("a piece"));
        }
        house.fake.release();
    }
    let end = events.rest().await;
    assert_eq!(end.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["message.completed"]);
}

/// nginx lets go of whoever is silent for a minute.
#[tokio::test]
async fn a_stream_outlives_a_silence_of_eighty_seconds() {
    const SILENCE: Duration = Duration::from_secs(80);
    let house = Proxied::start().await;
    house.fake.then(Script::of(vec![
        Step::Text("before ".to_owned()),
        Step::Gate,
        Step::Text("and after".to_owned()),
        Step::Finish("stop"),
    ]));
    let mut events = house.ann.stream(&house.nginx.url(), "one").await;
    let mut seen = vec![events.said().await.expect("a start")];
    while text(&seen) != "before " {
        seen.push(events.said().await.expect("a piece"));
    }
    let (since, mut heartbeats) = (Instant::now(), 0);
    while since.elapsed() < SILENCE {
        let event = events.next().await.expect("a sign of life");
        assert_eq!((event.name.as_str(), event.id), ("heartbeat", seen[seen.len() - 1].id), "nothing was said");
        heartbeats += 1;
    }
    assert_eq!(heartbeats, 6, "one every 15 seconds, in {:?}", since.elapsed());
    house.fake.release();
    let rest = events.rest().await;
    assert_eq!(text(&rest), "and after");
    assert_eq!(rest[rest.len() - 1].name, "message.completed");
}
