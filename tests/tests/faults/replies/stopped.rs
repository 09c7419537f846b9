//! A reply is stopped at another node than the one that makes it.

use std::time::{Duration, Instant};

use domain::chat::reply::Ending;
use tests::sse::{Events, text};
use tests::{Asker, Dice};

use super::cast::{Cast, SERVES, gated, read, silent, words};
use crate::house::Node;

const STOPS: usize = 12;
/// From the request to the provider's closed socket. Other tests share the cores, so it is said of the median.
const AT_ONCE: Duration = Duration::from_millis(200);

/// Asks for a reply, and reads what it says before it pauses: its id, and the rest.
async fn begin(ann: &Asker, url: &str, before: &str) -> (String, Events) {
    let mut events = ann.stream(url, "one").await;
    let mut seen = vec![events.said().await.expect("a start")];
    read(&mut events, &mut seen, before.len()).await;
    assert_eq!(text(&seen), before);
    (seen[0].data["id"].as_str().expect("an id").to_owned(), events)
}

#[tokio::test]
async fn a_stop_elsewhere_closes_the_providers_connection_at_once() {
    let mut dice = Dice::cast();
    let cast = Cast::postgres_nats().await;
    let (maker, one, two) = tokio::join!(cast.node("reply"), cast.node(SERVES), cast.node(SERVES));
    let nodes: [Node; 2] = [one, two];
    let urls: Vec<_> = nodes.iter().map(Node::url).collect();
    let ann = Asker::register(&urls[0], "ann").await;
    let mut took = Vec::new();
    for n in 0..STOPS {
        // Some are stopped before the first word.
        let before = if n % 3 == 2 { Vec::new() } else { words(&mut dice, 10) };
        cast.fake.then(if before.is_empty() { silent(&before) } else { gated(&before, &[], &mut dice) });
        let (reply, events) = begin(&ann, &urls[(n + 1) % 2], &before.concat()).await;
        cast.fake.until_asked(n + 1).await;

        let asked = Instant::now();
        let (closed, stopped) = tokio::join!(cast.fake.closed_by_client(), ann.stop(&urls[n % 2], &reply));
        took.push(closed.at - asked);
        assert_eq!(
            (stopped["status"].as_str(), stopped["content"].as_str()),
            (Some("stopped"), Some(&*before.concat()))
        );
        assert_eq!(stopped["usage"]["completion_tokens"] == 0, before.is_empty(), "{stopped}");
        let rest = events.rest().await;
        assert_eq!((rest.len(), rest[0].name.as_str()), (1, "message.stopped"));
        assert_eq!(rest[0].data["usage"], stopped["usage"]);
        for url in urls.iter().chain(&urls) {
            assert_eq!(ann.stop(url, &reply).await, stopped, "again and again");
        }
    }
    took.sort_unstable();
    eprintln!("from the stop to the closed socket: {took:?}");
    assert!(took[STOPS / 2] < AT_ONCE, "{took:?}");
    let ended = cast.until_ended(STOPS).await;
    assert!(ended.values().all(|it| it.ending == Ending::Stopped), "{ended:?}");
    assert_eq!(cast.fake.asked().len(), STOPS);
    for mut node in [maker].into_iter().chain(nodes) {
        node.has_found_no_fault_of_its_own();
    }
}
