//! Under which subject an event travels: `events.<stream type>.<event type>`.

use store::Recorded;

/// All events.
pub(crate) const ALL: &str = "events.>";

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
    use super::snake_case;

    #[test]
    fn an_event_travels_under_its_own_name() {
        assert_eq!(snake_case("MessagePosted"), "message_posted");
        assert_eq!(snake_case("ReplyRequested"), "reply_requested");
    }
}
