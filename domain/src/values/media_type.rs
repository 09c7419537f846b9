//! What kind of file some bytes are: told by how they begin, whatever anybody calls them.

use serde::{Deserialize, Serialize};

crate::words! {
    /// A kind of file.
    MediaType {
        Png = "image/png",
        Jpeg = "image/jpeg",
        Gif = "image/gif",
        Webp = "image/webp",
        Pdf = "application/pdf",
        Zip = "application/zip",
        Mp3 = "audio/mpeg",
        Mp4 = "video/mp4",
        Ogg = "application/ogg",
        Wav = "audio/wav",
        Text = "text/plain",
        /// Whatever else.
        Bytes = "application/octet-stream",
    }
}

/// How files begin; a `?` stands for any byte.
const BEGINNINGS: [(&[u8], MediaType); 18] = [
    (b"\x89PNG\r\n\x1a\n", MediaType::Png),
    (b"\xff\xd8\xff", MediaType::Jpeg),
    (b"GIF87a", MediaType::Gif),
    (b"GIF89a", MediaType::Gif),
    (b"RIFF????WEBPVP8", MediaType::Webp),
    (b"RIFF????WAVE", MediaType::Wav),
    (b"%PDF-", MediaType::Pdf),
    (b"PK\x03\x04", MediaType::Zip),
    (b"PK\x05\x06", MediaType::Zip),
    (b"PK\x07\x08", MediaType::Zip),
    (b"OggS\0", MediaType::Ogg),
    (b"ID3", MediaType::Mp3),
    (b"????ftypiso", MediaType::Mp4),
    (b"????ftypmp4", MediaType::Mp4),
    (b"????ftypavc1", MediaType::Mp4),
    (b"????ftypM4V", MediaType::Mp4),
    (b"????ftypMSNV", MediaType::Mp4),
    (b"????ftypdash", MediaType::Mp4),
];

impl MediaType {
    /// How many bytes are looked at.
    pub const LOOKED_AT: usize = 8 << 10;

    /// What a file is that begins so; `beginning` is all of it, or its first [`Self::LOOKED_AT`] bytes.
    #[must_use]
    pub fn of(beginning: &[u8]) -> Self {
        let known = BEGINNINGS.iter().find(|(pattern, _)| begins(beginning, pattern)).map(|(_, kind)| *kind);
        known.unwrap_or_else(|| {
            if is_sound(beginning) {
                Self::Mp3
            } else if is_text(beginning) {
                Self::Text
            } else {
                Self::Bytes
            }
        })
    }
}

fn begins(bytes: &[u8], pattern: &[u8]) -> bool {
    bytes.len() >= pattern.len() && bytes.iter().zip(pattern).all(|(byte, wanted)| *wanted == b'?' || byte == wanted)
}

/// The header of an MPEG frame of layer III: eleven bits that are set, and no value that means nothing.
const fn is_sound(bytes: &[u8]) -> bool {
    let [0xff, second, third, ..] = bytes else { return false };
    let (version, layer) = (*second & 0x18, *second & 0x06);
    let (rate, frequency) = (*third & 0xf0, *third & 0x0c);
    *second & 0xe0 == 0xe0 && version != 0x08 && layer == 0x02 && rate != 0xf0 && rate != 0 && frequency != 0x0c
}

/// UTF-8 without control characters; the last letter may be cut.
fn is_text(bytes: &[u8]) -> bool {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let is_cut = error.error_len().is_none() && bytes.len() >= MediaType::LOOKED_AT;
            let before = bytes.get(..error.valid_up_to()).filter(|_| is_cut);
            let Some(Ok(text)) = before.map(str::from_utf8) else { return false };
            text
        }
    };
    !text.contains(|c: char| c.is_control() && !['\t', '\n', '\r'].contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_it_begins_with() {
        let files: [(&[u8], MediaType); 21] = [
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", MediaType::Png),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", MediaType::Jpeg),
            (b"GIF87a\x01\0", MediaType::Gif),
            (b"GIF89a\x01\0", MediaType::Gif),
            (b"RIFF\x24\0\0\0WEBPVP8 ", MediaType::Webp),
            (b"RIFF\x24\0\0\0WAVEfmt ", MediaType::Wav),
            (b"%PDF-1.7\n%\xe2\xe3", MediaType::Pdf),
            (b"PK\x03\x04\x14\0", MediaType::Zip),
            (b"PK\x05\x06\0\0", MediaType::Zip),
            (b"OggS\0\x02", MediaType::Ogg),
            (b"ID3\x04\0", MediaType::Mp3),
            (b"\xff\xfb\x90\x64", MediaType::Mp3),
            (b"\xff\xf3\x44\xc4", MediaType::Mp3),
            (b"\0\0\0\x18ftypisom\0", MediaType::Mp4),
            (b"\0\0\0\x18ftypmp42\0", MediaType::Mp4),
            // A sound of another layer, an image in a container, an archive of another kind.
            (b"\xff\xfd\x90\x64", MediaType::Bytes),
            (b"\0\0\0\x18ftypheic\0", MediaType::Bytes),
            (b"\x1f\x8b\x08\0", MediaType::Bytes),
            (b"<script>alert(1)</script>", MediaType::Text),
            (b"\xef\xbb\xbfname,age\r\nAda\t,36\n", MediaType::Text),
            (b"GIF88a", MediaType::Text),
        ];
        for (bytes, kind) in files {
            assert_eq!(MediaType::of(bytes), kind, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn what_begins_too_early_to_tell_is_no_more_than_it_shows() {
        for (bytes, kind) in [
            (&b""[..], MediaType::Text),
            (b"\x89PNG", MediaType::Bytes),
            (b"RIFF\x24\0\0\0WE", MediaType::Bytes),
            (b"\xff\xfb", MediaType::Bytes),
            (b"%PDF", MediaType::Text),
        ] {
            assert_eq!(MediaType::of(bytes), kind, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn text_is_utf_8_that_can_be_read() {
        for text in ["한국어 ✈\n", "a", "line\r\nline\ttab"] {
            assert_eq!(MediaType::of(text.as_bytes()), MediaType::Text, "{text:?}");
        }
        for bytes in [&b"a\0b"[..], b"\x1b[31mred", b"caf\xe9", b"half a letter \xed\x95", b"\xff\xfea\0"] {
            assert_eq!(MediaType::of(bytes), MediaType::Bytes, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_letter_may_be_cut_where_the_look_ends() {
        let long = format!("{}한", "x".repeat(MediaType::LOOKED_AT - 1));
        let looked_at = long.as_bytes().get(..MediaType::LOOKED_AT).unwrap();
        assert_eq!(MediaType::of(looked_at), MediaType::Text);
        let mut broken = looked_at.to_vec();
        *broken.get_mut(7).unwrap() = 0xff;
        assert_eq!(MediaType::of(&broken), MediaType::Bytes);
    }
}
