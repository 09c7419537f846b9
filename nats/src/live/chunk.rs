//! A piece of a reply's text, and how pieces become the text again.

use bytes::Bytes;

/// Text of a reply, and where in the reply it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// In bytes from the reply's start.
    pub at: u64,
    pub text: String,
}

impl Chunk {
    /// Where the text after it stands.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.at + self.text.len() as u64
    }

    /// Eight bytes that say where it stands, and the text.
    fn encode(at: u64, text: &str) -> Bytes {
        [&at.to_be_bytes(), text.as_bytes()].concat().into()
    }

    /// As messages of at most `most` bytes each.
    pub(super) fn encode_within(&self, most: usize) -> Vec<Bytes> {
        let most = most.saturating_sub(size_of::<u64>()).max(char::MAX_LEN_UTF8);
        let (mut at, mut rest) = (self.at, self.text.as_str());
        let mut messages = Vec::with_capacity(1);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(most));
            messages.push(Self::encode(at, piece));
            at += piece.len() as u64;
            rest = after;
        }
        messages
    }

    /// `None` for what no replier can have told.
    pub(super) fn decode(message: &[u8]) -> Option<Self> {
        let (at, text) = message.split_first_chunk()?;
        Some(Self { at: u64::from_be_bytes(*at), text: std::str::from_utf8(text).ok()?.to_owned() })
    }

    /// Takes in what `next` has after this one's end; `false` where there is a gap between them, or none of them fits.
    fn join(&mut self, next: &Self) -> bool {
        if next.at < self.at || next.at > self.end() {
            return false;
        }
        let known = usize::try_from(self.end() - next.at).unwrap_or(usize::MAX);
        // All of it is known, or the rest of it is new.
        self.text.push_str(next.text.get(known..).unwrap_or_default());
        true
    }
}

/// Few long chunks of many short ones: one for each run without a gap.
pub(super) fn stitch(chunks: impl IntoIterator<Item = Chunk>) -> Vec<Chunk> {
    let mut runs: Vec<Chunk> = Vec::new();
    for chunk in chunks {
        if !runs.last_mut().is_some_and(|run| run.join(&chunk)) {
            runs.push(chunk);
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::{Chunk, stitch};

    fn chunk(at: u64, text: &str) -> Chunk {
        Chunk { at, text: text.to_owned() }
    }

    #[test]
    fn chunks_become_the_text_again_until_a_gap() {
        let told = [chunk(0, "Hel"), chunk(3, "lo, "), chunk(7, "wor"), chunk(12, "ld")];
        assert_eq!(stitch(told), [chunk(0, "Hello, wor"), chunk(12, "ld")]);
        assert_eq!(stitch([]), []);
    }

    #[test]
    fn what_was_told_twice_stands_once() {
        let told = [chunk(0, "Hello"), chunk(0, "Hel"), chunk(3, "lo, you"), chunk(5, ", you")];
        assert_eq!(stitch(told), [chunk(0, "Hello, you")]);
    }

    #[test]
    fn a_long_chunk_travels_in_pieces_that_break_no_letter() {
        let long = chunk(5, &"aé€𝄞".repeat(100));
        for most in 12..64 {
            let messages = long.encode_within(most);
            assert!(messages.iter().all(|message| message.len() <= most));
            let told: Vec<_> = messages.iter().map(|message| Chunk::decode(message).unwrap()).collect();
            assert_eq!(stitch(told), std::slice::from_ref(&long));
        }
        assert_eq!(chunk(5, "").encode_within(100), Vec::<bytes::Bytes>::new());
    }

    #[test]
    fn what_nobody_can_have_told_is_no_chunk() {
        assert_eq!(Chunk::decode(b"short"), None);
        assert_eq!(Chunk::decode(b"12345678\xff"), None);
    }
}
