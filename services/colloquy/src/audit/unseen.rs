//! What strangers wrote, shown so that no terminal takes it for a command.

/// Controls, and whatever else has no picture of its own or changes how its neighbours look.
fn is_unseen(c: char) -> bool {
    !matches!(c, '"' | '\'' | '\\') && c.escape_debug().len() > 1
}

/// A text with its unseen characters written out.
pub(super) fn shown(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if is_unseen(c) || c == '\\' {
            shown.extend(c.escape_debug());
        } else {
            shown.push(c);
        }
        shown
    })
}

/// The same in JSON, where such characters are inside of strings alone.
pub(super) fn shown_json(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut shown, c| {
        if is_unseen(c) {
            let mut units = [0; 2];
            shown.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            shown.push(c);
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_seen_stays_as_it_is() {
        for text in
            ["", "curl/8.5 (x86_64; \"linux\") it's", "Ada Lovelace", "用户", "ада", "한국어", "é", "🦀", "a  b"]
        {
            assert_eq!((shown(text), shown_json(text)), (text.to_owned(), text.to_owned()));
        }
    }

    #[test]
    fn what_could_fool_a_terminal_is_written_out() {
        for (text, escaped, json) in [
            ("\u{1b}[2J", "\\u{1b}[2J", "\\u001b[2J"),
            ("a\u{9b}31m", "a\\u{9b}31m", "a\\u009b31m"),
            ("bell\u{7}", "bell\\u{7}", "bell\\u0007"),
            ("\u{202e}live", "\\u{202e}live", "\\u202elive"),
            ("zero\u{200b}width", "zero\\u{200b}width", "zero\\u200bwidth"),
            ("tag\u{e0041}", "tag\\u{e0041}", "tag\\udb40\\udc41"),
        ] {
            assert_eq!((shown(text).as_str(), shown_json(text).as_str()), (escaped, json));
        }
        assert_eq!(shown("two\r\nlines\tand \\n"), "two\\r\\nlines\\tand \\\\n");
    }
}
