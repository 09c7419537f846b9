//! `next` and `after`: where a page of a search ended, as a text that is good for the same search alone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::tokens::digest;

/// How much of a digest tells a cursor from a text that somebody made up.
const SEAL: usize = 8;

/// Writes some numbers; `search` is all that was asked for, and by whom.
pub(super) fn write<const N: usize>(numbers: [u64; N], search: &str) -> String {
    let bytes = numbers.into_iter().flat_map(u64::to_be_bytes).chain(seal(numbers, search));
    URL_SAFE_NO_PAD.encode(bytes.collect::<Vec<u8>>())
}

/// Reads what was written for the same search; `None` for anything else.
pub(super) fn read<const N: usize>(text: &str, search: &str) -> Option<[u64; N]> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (numbers, sealed) = bytes.split_at_checked(N * 8)?;
    let numbers: Vec<u64> = numbers.as_chunks().0.iter().copied().map(u64::from_be_bytes).collect();
    let numbers: [u64; N] = numbers.try_into().ok()?;
    seal(numbers, search).eq(sealed.iter().copied()).then_some(numbers)
}

fn seal<const N: usize>(numbers: [u64; N], search: &str) -> impl Iterator<Item = u8> {
    let all: Vec<u8> = numbers.into_iter().flat_map(u64::to_be_bytes).chain(search.bytes()).collect();
    digest(&all).as_bytes().to_owned().into_iter().take(SEAL)
}

#[cfg(test)]
mod tests {
    use super::{read, write};

    #[test]
    fn a_cursor_reads_what_it_wrote_for_the_same_search_alone() {
        let text = write([0, 7, u64::MAX], "ann: words");
        assert_eq!(read(&text, "ann: words"), Some([0, 7, u64::MAX]));
        assert_eq!(read::<3>(&text, "bob: words"), None);
        assert_eq!(read::<2>(&text, "ann: words"), None);
        for made_up in ["", "x", "AAAA", &text.replace('A', "B"), &format!("{text}A"), &format!("{text}="), "é"] {
            assert_eq!(read::<3>(made_up, "ann: words"), None, "{made_up}");
        }
    }
}
