//! OpenAI's embeddings, from a model that knows words and a few that mean the same.

use serde_json::{Value, json};

use super::Asked;

/// How many numbers a vector has where nothing else was told.
pub const DIMENSION: usize = 64;

const SYNONYMS: [&[&str]; 4] = [
    &["car", "automobile", "vehicle"],
    &["doctor", "physician"],
    &["kitten", "cat", "feline"],
    &["grief", "sorrow", "sadness"],
];

/// What the model makes nothing of: a vector without a direction.
pub const NONSENSE: &str = "qwrtzp";

/// The texts of a request: one, or a list.
pub(super) fn texts(body: &Value) -> Vec<String> {
    let list = body["input"].as_array().map_or(std::slice::from_ref(&body["input"]), Vec::as_slice);
    list.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// A token for each word.
pub(super) fn response(asked: &Asked, dimension: usize) -> Value {
    let embedding = |(index, text): (usize, &String)| json!({"object": "embedding", "index": index, "embedding": vector(text, dimension)});
    let data: Vec<Value> = asked.texts.iter().enumerate().map(embedding).collect();
    let tokens: usize = asked.texts.iter().map(|text| words(text).count()).sum();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    json!({"object": "list", "data": data, "model": asked.model, "usage": usage})
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).map(|word| {
        let same = SYNONYMS.iter().find(|same| same.contains(&word.as_str()));
        same.and_then(|same| same.first()).map_or(word, |first| (*first).to_owned())
    })
}

/// Each word has a place of its own, as far as there are places.
fn vector(text: &str, dimension: usize) -> Vec<f32> {
    if text == NONSENSE {
        return vec![0.0; dimension];
    }
    let mut numbers = vec![0.01; dimension];
    for word in words(text) {
        let hash = word
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let place = usize::try_from((hash ^ (hash >> 32)) % dimension.max(1) as u64).unwrap_or(0);
        if let Some(number) = numbers.get_mut(place) {
            *number += 1.0;
        }
    }
    numbers
}
