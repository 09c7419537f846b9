//! How an export is written: as a document that can be brought in again, or to be read.

use std::fmt::Write;

use domain::Timestamp;
use domain::ids::ConversationId;
use projections::history::{Attachment, Conversation, Message, Role, Scope, State};
use serde::Serialize;
use serde_json::json;
use store::StoreError;

use crate::portable::{self, FORMAT, VERSION};
use crate::routes::download::File;
use crate::routes::shown::NAMELESS;
use crate::time::Time;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Markdown,
}

impl Form {
    pub(super) const fn file(self) -> File {
        let (content_type, disposition) = match self {
            Self::Json => ("application/json", "attachment; filename=\"colloquy.json\""),
            Self::Markdown => ("text/markdown; charset=utf-8", "attachment; filename=\"colloquy.md\""),
        };
        File { content_type, disposition }
    }

    /// All branches where they can be told apart; else the one that was chosen.
    pub(super) const fn scope(self, id: ConversationId) -> Scope {
        match self {
            Self::Json => Scope::Conversation(id),
            Self::Markdown => Scope::Branch(id),
        }
    }

    pub(super) fn begin(self, page: &mut String, now: Timestamp) {
        match self {
            Self::Json => {
                let (format, version, now) = (json!(FORMAT), json!(VERSION), json!(Time(now)));
                add(
                    page,
                    format_args!("{{\"format\":{format},\"version\":{version},\"exported_at\":{now},\"sessions\":["),
                );
            }
            Self::Markdown => {}
        }
    }

    pub(super) fn open(self, page: &mut String, kept: Conversation, is_later: bool) -> Result<(), StoreError> {
        match self {
            Self::Json => {
                let session = written(&portable::Session::from(kept))?;
                // Its messages follow: the object is not closed yet.
                let begun = session.strip_suffix('}').unwrap_or(&session);
                add(page, format_args!("{}\n{begun},\"messages\":[", if is_later { "," } else { "" }));
            }
            Self::Markdown => {
                let (began, ended) = (Time(kept.created_at), Time(kept.updated_at));
                let name = kept.name.unwrap_or_else(|| NAMELESS.to_owned());
                let rule = if is_later { "\n---\n\n" } else { "" };
                add(page, format_args!("{rule}# {}\n\n{began} to {ended}\n", one_line(&name)));
            }
        }
        Ok(())
    }

    pub(super) fn message(
        self,
        page: &mut String,
        message: Message,
        files: Vec<Attachment>,
        is_first: bool,
    ) -> Result<(), StoreError> {
        match self {
            Self::Json => {
                let message = written(&portable::Message::of(message, files))?;
                add(page, format_args!("{}\n{message}", if is_first { "" } else { "," }));
            }
            Self::Markdown => markdown(page, &message, &files),
        }
        Ok(())
    }

    pub(super) fn close(self, page: &mut String) {
        match self {
            Self::Json => page.push_str("]}"),
            Self::Markdown => {}
        }
    }

    pub(super) fn end(self, page: &mut String) {
        match self {
            Self::Json => page.push_str("\n]}\n"),
            Self::Markdown => {}
        }
    }
}

fn written(what: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(what).map_err(|_| StoreError::Corrupt("a conversation can't be written".into()))
}

fn add(page: &mut String, what: std::fmt::Arguments<'_>) {
    // Nothing can go wrong with a text in memory.
    let _ = page.write_fmt(what);
}

fn markdown(page: &mut String, message: &Message, files: &[Attachment]) {
    let speaker = match message.role {
        Role::User => "User",
        Role::System => "System",
        Role::Assistant => "Assistant",
        Role::Bot => message.model.as_deref().unwrap_or("Assistant"),
    };
    add(page, format_args!("\n## {} · {}\n\n", one_line(speaker), Time(message.created_at)));
    add(page, format_args!("{}\n", message.content.trim_matches('\n')));
    if let Some(fence) = open_fence(&message.content) {
        add(page, format_args!("{fence}\n"));
    }
    match message.state {
        State::Done => {}
        State::Awaited => page.push_str("\n*(not answered yet)*\n"),
        State::Stopped => page.push_str("\n*(stopped)*\n"),
        State::Interrupted => page.push_str("\n*(interrupted)*\n"),
    }
    for file in files {
        let name = one_line(file.file.name.as_str());
        add(page, format_args!("\n*Attached: {name}, {} bytes*\n", file.file.size));
    }
}

/// What is said in a heading stays there.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The fence that closes a block of code which a text leaves open: all that follows would be code.
fn open_fence(text: &str) -> Option<String> {
    let mut open: Option<(char, usize)> = None;
    for line in text.lines() {
        let indented = line.len();
        let line = line.trim_start_matches(' ');
        // From four spaces on it is a block of its own kind.
        if indented - line.len() > 3 {
            continue;
        }
        let Some(mark) = line.chars().next().filter(|mark| matches!(mark, '`' | '~')) else { continue };
        let length = line.chars().take_while(|c| *c == mark).count();
        let rest = line.get(length..).unwrap_or_default();
        open = match open {
            None if length >= 3 && !(mark == '`' && rest.contains('`')) => Some((mark, length)),
            Some((opened, least)) if opened == mark && length >= least && rest.trim().is_empty() => None,
            unchanged => unchanged,
        };
    }
    open.map(|(mark, length)| mark.to_string().repeat(length))
}

#[cfg(test)]
mod tests {
    use super::open_fence;

    #[test]
    fn a_block_that_is_left_open_is_closed() {
        for (text, fence) in [
            ("", None),
            ("no code", None),
            ("```rust\nfn main() {}\n```\n", None),
            ("```rust\nfn main() {", Some("```")),
            ("````\n```\ncode", Some("````")),
            ("```\n````", None),
            ("~~~\n```\n", Some("~~~")),
            ("   ```\ncode", Some("```")),
            ("    ```\ncode", None),
            ("``` `inline` ```", None),
            ("```\na\n```\n```\nb", Some("```")),
            ("```\n``` not the end", Some("```")),
        ] {
            assert_eq!(open_fence(text).as_deref(), fence, "{text:?}");
        }
    }
}
