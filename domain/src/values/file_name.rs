//! What a file is called by whoever sent it. It is shown, and never used as a path.

use serde::{Deserialize, Serialize};

use super::names::line;
use super::{Invalid, text_value};

/// A single line, trimmed, in which nothing leads to another folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(String);

text_value!(FileName, parse);

fn parse(text: &str) -> Result<String, Invalid> {
    let name = line(text, 1, 255)?;
    if name.contains(['/', '\\']) || name == "." || name == ".." { Err(Invalid::Path) } else { Ok(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parsed;

    fn name(text: &str) -> Result<FileName, Invalid> {
        text.to_owned().try_into()
    }

    #[test]
    fn a_name_is_a_line_of_whatever_letters() {
        for text in ["a", "plan.pdf", "여행 ✈.png", ".env", "a..b", "say \"hi\"; rm -rf %2F", "'x'", "👩\u{200d}🚀"]
        {
            assert_eq!(name(text).map(String::from).as_deref(), Ok(text));
        }
        assert_eq!(parsed::<FileName>("  plan.pdf\n").as_str(), "plan.pdf");
        assert!(name(&"한".repeat(255)).is_ok());
    }

    #[test]
    fn a_path_is_no_name() {
        for text in ["/etc/passwd", "../plan.pdf", r"C:\plan.pdf", "a/b", "a/", r"\", ".", "..", " .. "] {
            assert_eq!(name(text), Err(Invalid::Path), "{text:?}");
        }
    }

    #[test]
    fn nor_is_what_nobody_can_see() {
        for text in ["a\0b", "a\nb", "a\r\nSet-Cookie: x", "photo\u{202e}gnp.exe", "a\u{200b}b"] {
            assert_eq!(name(text), Err(Invalid::ControlCharacter), "{text:?}");
        }
        assert_eq!(name(" \t"), Err(Invalid::Blank));
        assert_eq!(name(&"x".repeat(256)), Err(Invalid::TooLong(255)));
    }
}
