//! The built-in bot: deterministic, without a network, there from the first start.

use crate::values::MessageBody;

/// The name under which the rule bot answers.
pub const MODEL: &str = "rules";

/// The answer to a message, whatever its case and the space around it.
#[must_use]
pub fn answer(message: &MessageBody) -> String {
    let content = message.as_str();
    match content.trim().to_lowercase().as_str() {
        "hello" => "Hello! How can I help you today?".to_owned(),
        "hi" => "Hi there! What can I do for you?".to_owned(),
        "how are you" => "I'm doing great! Thanks for asking. How can I assist you?".to_owned(),
        "help" => "I'm here to help! You can ask me questions or just chat with me.".to_owned(),
        "bye" => "Goodbye! Have a great day!".to_owned(),
        _ => format!("You said: '{content}'. I'm a simple bot, but I heard you!"),
    }
}

#[cfg(test)]
mod tests {
    use super::answer;
    use crate::testing::parsed;

    const RULES: [(&str, &str); 5] = [
        ("hello", "Hello! How can I help you today?"),
        ("hi", "Hi there! What can I do for you?"),
        ("how are you", "I'm doing great! Thanks for asking. How can I assist you?"),
        ("help", "I'm here to help! You can ask me questions or just chat with me."),
        ("bye", "Goodbye! Have a great day!"),
    ];

    fn said(text: &str) -> String {
        answer(&parsed(text))
    }

    #[test]
    fn each_rule_has_its_answer() {
        for (text, expected) in RULES {
            assert_eq!(said(text), expected);
        }
    }

    #[test]
    fn case_and_the_space_around_do_not_matter() {
        for (text, expected) in RULES {
            assert_eq!(said(&text.to_uppercase()), expected);
            assert_eq!(said(&format!(" \t\n{text}\u{a0} \r\n")), expected);
        }
        assert_eq!(said(" How Are yOU "), said("how are you"));
    }

    #[test]
    fn everything_else_is_repeated_as_it_was_typed() {
        for text in ["what?", "Hello!", "hello there", "how  are you", "  Two  Spaces ", "it's", "{}", "안녕 👋"] {
            assert_eq!(said(text), format!("You said: '{text}'. I'm a simple bot, but I heard you!"));
        }
    }
}
