use super::*;
use crate::chat::Usage;
use crate::chat::reply::{FinishReason, Interruption};
use crate::testing::{given, id, parsed};
use crate::values::Vector;

fn reply() -> ReplyTo {
    ReplyTo { conversation: id(1), owner: id(2), to: id(3) }
}

fn asked() -> Asked {
    Asked { model: "openai/gpt-4o-mini".to_owned(), max_tokens: 100.try_into().ok(), temperature: 0.5.try_into().ok() }
}

fn said() -> Said {
    Said { text: "Hello!".to_owned(), model: "openai/gpt-4o-mini".to_owned(), usage: Usage::default() }
}

fn post() -> MessageCommand {
    let (speaker, after) = (Speaker::User, After::Message(id(9)));
    MessageCommand::Post { conversation: id(1), owner: id(2), body: parsed(" hello "), speaker, after }
}

fn posted() -> MessageEvent {
    let (speaker, after) = (Speaker::User, After::Message(id(9)));
    MessageEvent::MessagePosted { conversation: id(1), owner: id(2), body: parsed(" hello "), speaker, after }
}

fn give() -> MessageCommand {
    MessageCommand::GiveReply { reply: reply(), text: "Hi".to_owned(), model: "rules".to_owned() }
}

fn was_given() -> MessageEvent {
    let ReplyTo { conversation, owner, to } = reply();
    MessageEvent::ReplyGiven { conversation, owner, to, text: "Hi".to_owned(), model: "rules".to_owned() }
}

fn request() -> MessageCommand {
    MessageCommand::RequestReply { reply: reply(), asked: asked() }
}

fn requested() -> MessageEvent {
    MessageEvent::ReplyRequested { reply: reply(), asked: asked() }
}

/// Each way in which a reply ends, with its event.
fn endings() -> [(MessageCommand, MessageEvent); 3] {
    let owner = reply().owner;
    let (finish, reason, retry_after_seconds) = (FinishReason::Length, Interruption::RateLimited, Some(7));
    let interrupted = Ending::Interrupted { reason, retry_after_seconds };
    [
        (Ending::Completed { finish }, MessageEvent::ReplyCompleted { owner: Some(owner), said: said(), finish }),
        (Ending::Stopped, MessageEvent::ReplyStopped { owner, said: said() }),
        (interrupted, MessageEvent::ReplyInterrupted { owner, said: said(), reason, retry_after_seconds }),
    ]
    .map(|(ending, event)| (MessageCommand::EndReply { said: said(), ending }, event))
}

fn deleted() -> MessageEvent {
    MessageEvent::MessageDeleted { owner: id(2), conversation: id(1) }
}

/// What its owner says of a message, with the event.
fn marks() -> [(MessageCommand, MessageEvent); 2] {
    let embedding = Embedding { model: parsed("mine"), vector: Vector::new(&[0.6, -0.8]).unwrap() };
    let (by, owner, rating, usage) = (id(2), id(2), Rating::Down, Some(Usage::default()));
    [
        (MessageCommand::Rate { by, rating }, MessageEvent::MessageRated { owner, rating }),
        (
            MessageCommand::Embed { by, embedding: embedding.clone(), usage },
            MessageEvent::MessageEmbedded { owner, embedding, usage },
        ),
    ]
}

/// Each kind of message that is there.
fn there() -> Vec<Vec<MessageEvent>> {
    vec![vec![posted()], vec![was_given()], vec![requested()]]
}

#[test]
fn a_message_is_posted() {
    given::<Message>(vec![]).when(post()).then_expect_events(vec![posted()]);
}

#[test]
fn a_reply_is_given_at_once() {
    given::<Message>(vec![]).when(give()).then_expect_events(vec![was_given()]);
}

#[test]
fn a_reply_is_requested() {
    given::<Message>(vec![]).when(request()).then_expect_events(vec![requested()]);
}

#[test]
fn a_requested_reply_ends_once() {
    for (end, ended) in endings() {
        given::<Message>(vec![requested()]).when(end).then_expect_events(vec![ended.clone()]);
        for (again, _) in endings() {
            given::<Message>(vec![requested(), ended.clone()])
                .when(again)
                .then_expect_error(MessageError::NoReplyAwaited);
        }
    }
}

#[test]
fn an_event_says_how_a_reply_ended() {
    for (command, event) in endings() {
        let (ending, said) = event.ending().unwrap();
        assert_eq!(MessageCommand::EndReply { said: said.clone(), ending }, command);
    }
    let others = [vec![posted(), was_given(), requested(), deleted()], marks().map(|(_, event)| event).to_vec()];
    assert!(others.concat().iter().all(|event| event.ending().is_none()));
}

#[test]
fn a_stream_is_one_message_or_one_reply() {
    let [(_, completed), ..] = endings();
    for history in [there(), vec![vec![requested(), completed], vec![posted(), deleted()]]].concat() {
        for command in [post(), give(), request()] {
            given::<Message>(history.clone()).when(command).then_expect_error(MessageError::AlreadyExists);
        }
    }
}

#[test]
fn only_an_awaited_reply_ends() {
    for history in [vec![], vec![posted()], vec![was_given()], vec![requested(), deleted()]] {
        for (end, _) in endings() {
            given::<Message>(history.clone()).when(end).then_expect_error(MessageError::NoReplyAwaited);
        }
    }
}

#[test]
fn its_owner_marks_any_message_again_and_again() {
    for history in there() {
        for (command, event) in marks() {
            let marked = [history.clone(), vec![event.clone()]].concat();
            for history in [history.clone(), marked] {
                given::<Message>(history).when(command.clone()).then_expect_events(vec![event.clone()]);
            }
        }
    }
}

#[test]
fn a_mark_changes_nothing_else() {
    let [(end, ended), ..] = endings();
    let marked = [vec![requested()], marks().map(|(_, event)| event).to_vec()].concat();
    given::<Message>(marked).when(end).then_expect_events(vec![ended]);
}

#[test]
fn its_owner_deletes_any_message_once() {
    let delete = || MessageCommand::Delete { by: id(2) };
    for history in there() {
        given::<Message>(history.clone()).when(delete()).then_expect_events(vec![deleted()]);
        let gone = [history, vec![deleted()]].concat();
        given::<Message>(gone).when(delete()).then_expect_error(MessageError::NotFound);
    }
}

#[test]
fn a_message_is_found_in_its_own_conversation() {
    let find = |number| MessageCommand::Find { by: id(2), conversation: id(number) };
    for history in there() {
        given::<Message>(history.clone()).when(find(1)).then_expect_events(vec![]);
        given::<Message>(history).when(find(3)).then_expect_error(MessageError::NotFound);
    }
}

/// What came from elsewhere is there as if it had been said here.
#[test]
fn an_imported_message_is_what_it_was() {
    let (created_at, updated_at) = (Timestamp::from_micros(1), Timestamp::from_micros(2));
    let (conversation, owner, after, rating) = (id(1), id(2), After::Nothing, None);
    let of = |words| Imported { conversation, owner, after, words, rating, created_at, updated_at };
    let imported = |words| MessageEvent::MessageImported { message: of(words) };
    let state = |words| {
        let mut state = Message::default();
        state.evolve(imported(words));
        state
    };
    let posted = Words::Posted { speaker: Speaker::System, body: parsed("hello") };
    let replied = Words::Replied { to: id(3), said: said(), ending: Some(Ending::Stopped) };
    let (speaker, body) = (Speaker::System, parsed("hello"));
    assert_eq!(state(posted.clone()), Message::Posted { conversation, owner, body, speaker, after });
    let asked = Asked { model: said().model, max_tokens: None, temperature: None };
    assert_eq!(state(replied.clone()), Message::Replied { reply: reply(), asked: Some(asked) });
    for words in [posted, replied] {
        let import = || MessageCommand::Import(of(words.clone()));
        given::<Message>(vec![]).when(import()).then_expect_events(vec![imported(words.clone())]);
        for history in [vec![imported(words.clone())], vec![imported(words.clone()), deleted()]] {
            given::<Message>(history).when(import()).then_expect_error(MessageError::AlreadyExists);
        }
    }
}

/// Nobody may learn whether a message exists that is not theirs.
#[test]
fn never_posted_foreign_and_deleted_look_the_same() {
    for (history, by) in [(vec![], id(2)), (vec![posted()], id(5)), (vec![posted(), deleted()], id(2))] {
        let [(_, rated), (_, embedded)] = marks();
        let (MessageEvent::MessageRated { rating, .. }, MessageEvent::MessageEmbedded { embedding, usage, .. }) =
            (rated, embedded)
        else {
            unreachable!("the marks that there are")
        };
        let commands = [
            MessageCommand::Find { by, conversation: id(1) },
            MessageCommand::Rate { by, rating },
            MessageCommand::Embed { by, embedding, usage },
            MessageCommand::Delete { by },
        ];
        for command in commands {
            given::<Message>(history.clone()).when(command).then_expect_error(MessageError::NotFound);
        }
    }
}
