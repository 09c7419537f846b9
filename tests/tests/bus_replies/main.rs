//! What the bus does for replies: each that is wanted to one replier at a time, its text to whoever watches, whatever dies.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's words are its panics")]

mod live;
mod nats_gone;
mod work;

use std::time::Duration;

use domain::ids::MessageId;
use nats::{Bus, Chunk, Claim, Hearing, Work};
use tests::Nats;
use tests::stage::PATIENCE;
use tokio::time::timeout;
use uuid::Uuid;

/// Long enough for what was left behind to come, where something was.
const MOMENT: Duration = Duration::from_millis(300);

fn fresh() -> MessageId {
    store::fresh_id::<Uuid>().into()
}

async fn connect(nats: &Nats) -> Bus {
    Bus::connect(&nats.url(), PATIENCE).await.unwrap()
}

async fn claim(work: &mut Work) -> Claim {
    timeout(PATIENCE, work.next()).await.expect("a reply is offered").unwrap()
}

async fn nothing_for(work: &mut Work) {
    let came = timeout(MOMENT, work.next()).await;
    assert!(came.is_err(), "nothing was left, and {:?} came", came.unwrap().unwrap().reply);
}

fn chunk(at: u64, text: &str) -> Chunk {
    Chunk { at, text: text.to_owned() }
}

/// Tells the text in pieces of a few letters, as repliers do.
fn tell(bus: &Bus, reply: MessageId, from: usize, text: &str) {
    let (mut speaker, mut at, mut rest) = (bus.speaker(reply), from as u64, text);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.ceil_char_boundary(3.min(rest.len())));
        speaker.tell(&chunk(at, piece));
        at += piece.len() as u64;
        rest = after;
    }
}

/// Puts together what is heard until it has as many bytes as `whole`, and fails on a gap.
async fn heard(hearing: &mut Hearing, text: &mut String, whole: &str) {
    while text.len() < whole.len() {
        let chunk = timeout(PATIENCE, hearing.next())
            .await
            .unwrap_or_else(|_| panic!("no more after byte {}", text.len()))
            .unwrap();
        let known = text.len().checked_sub(usize::try_from(chunk.at).unwrap());
        let new = chunk.text.get(known.unwrap_or_else(|| panic!("a gap between {} and {}", text.len(), chunk.at))..);
        text.push_str(new.unwrap_or_default());
    }
    assert!(text == whole, "another text is heard");
}

async fn until_said(bus: &Bus, reply: MessageId, whole: &str) {
    let said = async {
        while bus.said(reply).await.unwrap() != whole {
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(PATIENCE, said).await.is_ok(), "{} bytes were said", bus.said(reply).await.unwrap().len());
}
