//! The built-in embedder: hashed words and trigrams. No language model: it knows which texts share words and parts of
//! words, and nothing of what they mean.

use super::vector::unit;

/// What its vectors are called; nobody else's may be called so.
pub const MODEL: &str = "colloquy-hash-256";
pub const DIMENSION: usize = 256;

/// A word's own weight grows with its length up to here: longer words say more.
const LONG: u16 = 8;
/// In front of a word and behind it, so that its beginning and its end count as such.
const EDGE: char = '^';

/// Where a text stands; `None` where nothing in it is a word. The same text has the same vector for ever, to the last bit:
/// only the arithmetic that every machine does alike.
#[must_use]
pub fn embed(text: &str) -> Option<Vec<f32>> {
    let mut sums = [0.0; DIMENSION];
    for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        add_word(&mut sums, word);
    }
    unit(&sums)
}

/// Half of a word's weight is its own, and half is its trigrams'.
fn add_word(sums: &mut [f32], word: &str) {
    let edged: Vec<char> = [EDGE].into_iter().chain(word.chars()).chain([EDGE]).collect();
    let trigrams = edged.windows(3);
    let length = u16::try_from(trigrams.len()).unwrap_or(u16::MAX);
    let weight = f32::from(length.min(LONG)) / f32::from(LONG);
    add(sums, hash(b'w', word.chars()), weight);
    let share = weight / f32::from(length).sqrt();
    for trigram in trigrams {
        add(sums, hash(b't', trigram.iter().copied()), share);
    }
}

/// Two features that fall into one number cancel each other as often as they add up.
fn add(sums: &mut [f32], hash: u64, weight: f32) {
    let signed = if hash >> 63 == 0 { weight } else { -weight };
    let place = usize::try_from(hash % DIMENSION as u64).unwrap_or(0);
    if let Some(sum) = sums.get_mut(place) {
        *sum += signed;
    }
}

/// FNV-1a, then mixed, as its lowest bits are poor.
fn hash(kind: u8, chars: impl Iterator<Item = char>) -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let start = (0xcbf2_9ce4_8422_2325 ^ u64::from(kind)).wrapping_mul(PRIME);
    let hash = chars.fold(start, |hash, c| (hash ^ u64::from(c)).wrapping_mul(PRIME));
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

#[cfg(test)]
mod tests {
    use super::super::vector::dot;
    use super::*;

    fn likeness(one: &str, other: &str) -> f64 {
        dot(&embed(one).unwrap(), &embed(other).unwrap())
    }

    #[test]
    fn a_vector_is_of_length_1_and_stays_the_same_for_ever() {
        let vector = embed("Ärger mit dem Öl, 東京!").unwrap();
        assert_eq!(vector.len(), DIMENSION);
        assert!((dot(&vector, &vector) - 1.0).abs() < 1e-6);
        let fold = |text: &str| embed(text).unwrap().iter().fold(0_u32, |sum, it| sum.rotate_left(5) ^ it.to_bits());
        let expected = [("hello", HELLO), ("Ärger mit dem Öl, 東京!", ANGER)];
        assert_eq!(expected.map(|(text, _)| fold(text)), expected.map(|(_, fold)| fold));
    }

    const HELLO: u32 = 4_162_876_527;
    const ANGER: u32 = 3_497_401_979;

    #[test]
    fn case_and_punctuation_do_not_matter() {
        assert_eq!(embed("Hello, World"), embed("...hello WORLD"));
        assert_eq!(embed("ÄÖ 1"), embed("äö-1"));
        assert_ne!(embed("hello world"), embed("world hello!x"));
    }

    #[test]
    fn what_has_no_word_has_no_vector() {
        for text in ["", " \n", "?!", "👋", "---"] {
            assert_eq!(embed(text), None, "{text:?}");
        }
    }

    #[test]
    fn who_shares_words_or_parts_of_them_is_near() {
        let query = "how do I brew espresso";
        let near = likeness(query, "Brewing a good espresso takes nine bars");
        let far = likeness(query, "The committee postponed its quarterly budget");
        assert!(near > far + 0.2, "{near} {far}");
        assert!(likeness("refactoring", "refactor") > 0.3);
        assert!(likeness("東京タワー", "東京タワーはどこ") > 0.3);
    }
}
