//! What a conversation is called that nobody has named: how it begins.

/// How long a title is at most, in characters.
const MOST: usize = 60;

/// The first words of a message on one line; `None` where it has no letter to show.
#[must_use]
pub fn of(message: &str) -> Option<String> {
    let line = message.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let mut title = String::new();
    for word in line {
        let length = title.chars().count();
        if length > 0 && length + 1 + word.chars().count() > MOST {
            title.push('…');
            break;
        }
        if length > 0 {
            title.push(' ');
        }
        if word.chars().count() > MOST {
            title.extend(word.chars().take(MOST - 1).chain(['…']));
            break;
        }
        title.push_str(word);
    }
    (!title.is_empty()).then_some(title)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_short_message_is_its_own_title_on_one_line() {
        assert_eq!(of("  Where\n\tshall\u{7}we  go? 여행 ✈").as_deref(), Some("Where shall we go? 여행 ✈"));
    }

    #[test]
    fn a_long_one_ends_with_the_last_word_that_has_room() {
        let title = of(&"seven77 ".repeat(20)).unwrap();
        assert_eq!(title, format!("{}…", ["seven77"; 7].join(" ")));
        assert_eq!(of(&"x".repeat(61)).unwrap(), format!("{}…", "x".repeat(59)));
        assert_eq!(of(&"한".repeat(60)).unwrap(), "한".repeat(60));
    }

    #[test]
    fn nothing_to_read_is_no_title() {
        for text in ["", " \n", "\u{1b}\u{7f}"] {
            assert_eq!(of(text), None);
        }
    }
}
