//! One connection of a client to a fake provider: requests one after another, and an ear for its end.

use std::sync::Arc;

use tokio::net::TcpStream;

use super::answer::{Answer, Then};
use super::dialect::{Request, Wants};
use super::http::Inbox;
use super::script::{Script, Step};
use super::state::State;

pub(super) async fn serve(client: TcpStream, state: Arc<State>) {
    // A delta that waits for its neighbour would be late; where this cannot be set, it is late.
    let _ = client.set_nodelay(true);
    let (reader, mut writer) = client.into_split();
    let mut inbox = Inbox::new(reader);
    while let Some(received) = inbox.next().await {
        let request = Request::read(received);
        let (dialect, fixed) = (request.dialect, fixed(&request, &state));
        let (open, script) = state.open(request, fixed);
        let gates = state.releases.subscribe();
        let mut answer = Answer::new(&mut writer, &open.asked, dialect, gates, open.released);
        answer.embeds_for(&state.embedded);
        let ended = tokio::select! {
            biased;
            () = inbox.until_closed() => None,
            ended = answer.give(&script) => ended.ok(),
        };
        match ended {
            Some(Then::Next) => {}
            Some(Then::Close) => return,
            None => {
                let said = answer.into_text();
                return open.closed_by_client(said);
            }
        }
    }
}

/// What is answered without a script.
fn fixed(request: &Request, state: &State) -> Option<Script> {
    let raw = |body: String| vec![Step::Raw(body.into_bytes())];
    match request.wants {
        Wants::Chat { .. } | Wants::Vectors { .. } => None,
        Wants::Models => Some(Script::of(raw(request.dialect.models(&state.models()).to_string()))),
        Wants::Nothing => Some(Script::fails(404)),
    }
}
