//! Everything that was written, and how it is searched.

/// What was written where. Bytes are kept as the characters of their numbers, so that any bytes can be searched as text.
#[derive(Default)]
pub struct Haystacks(Vec<(String, String)>);

fn as_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

impl Haystacks {
    pub fn add(&mut self, place: impl Into<String>, bytes: impl AsRef<[u8]>) {
        self.0.push((place.into(), as_text(bytes.as_ref())));
    }

    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub fn has(&self, place: &str) -> bool {
        self.0.iter().any(|(it, text)| it == place && !text.is_empty())
    }

    /// The places where a text is written.
    pub fn with(&self, text: &str) -> Vec<&str> {
        let text = as_text(text.as_bytes());
        self.0.iter().filter(|(_, written)| written.contains(&text)).map(|(place, _)| place.as_str()).collect()
    }

    /// The first place that tells a secret, in any form, and what stands there around it.
    pub fn first_with(&self, what: &str, secret: &str) -> Option<String> {
        let forms: Vec<String> = parts(secret).iter().flat_map(|part| forms(part)).collect();
        self.0.iter().find_map(|(place, text)| {
            let at = forms.iter().find_map(|form| text.find(form.as_str()))?;
            let around: String = text.chars().skip(text[..at].chars().count().saturating_sub(200)).take(400).collect();
            Some(format!("{what} is told by {place}: …{around}…"))
        })
    }
}

/// The whole, and what in it is secret by itself.
fn parts(secret: &str) -> Vec<Vec<u8>> {
    let mut parts = vec![secret.as_bytes().to_vec()];
    if let Some(body) = secret.strip_prefix("crt_") {
        parts.push(body.into());
        // The sign-in's id comes first, and is no secret.
        parts.extend(decoded(body).get(16..48).map(<[u8]>::to_vec));
    } else if let Some((_, secret)) = secret.strip_prefix("cak_").and_then(|key| key.split_once('_')) {
        parts.push(secret.into());
    } else if let Some((_, signature)) = secret.rsplit_once('.').filter(|_| secret.starts_with("ey")) {
        parts.push(signature.into());
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// As text, as a database shows bytes, and as a list of numbers.
fn forms(part: &[u8]) -> [String; 4] {
    let hex = part.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let hex: String = hex.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
    let numbers = part.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    [as_text(part), hex.to_uppercase(), hex, numbers]
}

/// Base64 of the kind for addresses, without padding.
fn decoded(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |c: u8| DIGITS.iter().position(|it| *it == c);
    let bits: Vec<bool> =
        text.bytes().filter_map(digit).flat_map(|digit| (0..6).rev().map(move |bit| digit >> bit & 1 == 1)).collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit))).collect()
}
