//! Under which subject all that is carried travels: `events.<stream type>.<event type>`, and `work.reply.<id>`, `live.<id>`
//! and `stop.<id>` of a reply.

use domain::ids::MessageId;
use store::Recorded;

/// All events.
pub(crate) const ALL: &str = "events.>";

/// All replies that are wanted.
pub(crate) const ALL_WORK: &str = "work.reply.*";
/// The text of all replies that grow.
pub(crate) const ALL_LIVE: &str = "live.*";
/// All requests to stop.
pub(crate) const ALL_STOPS: &str = "stop.*";

pub(crate) fn work_on(reply: MessageId) -> String {
    format!("work.reply.{reply}")
}

pub(crate) fn live_of(reply: MessageId) -> String {
    format!("live.{reply}")
}

pub(crate) fn stop_of(reply: MessageId) -> String {
    format!("stop.{reply}")
}

/// Which reply a subject is about.
pub(crate) fn reply_in(subject: &str) -> Option<MessageId> {
    subject.rsplit('.').next()?.parse().ok()
}

/// `MessagePosted` of a `message` travels as `events.message.message_posted`.
pub(crate) fn subject_of(event: &Recorded) -> String {
    format!("events.{}.{}", event.stream_type, snake_case(&event.event_type))
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use domain::ids::MessageId;

    use super::{live_of, reply_in, snake_case, stop_of, work_on};

    #[test]
    fn a_reply_is_found_in_every_subject_of_it() {
        let reply: MessageId = "0197a1f2-0000-7000-8000-000000000001".parse().unwrap();
        for subject in [work_on(reply), live_of(reply), stop_of(reply)] {
            assert_eq!(reply_in(&subject), Some(reply), "{subject}");
        }
        assert_eq!(reply_in("live.somebody-elses"), None);
    }

    #[test]
    fn an_event_travels_under_its_own_name() {
        assert_eq!(snake_case("MessagePosted"), "message_posted");
        assert_eq!(snake_case("ReplyRequested"), "reply_requested");
    }
}
