//! A file goes out as it came in, and is never shown as a page of ours.

use std::fmt::Write;
use std::ops::Range;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::chat::attachment;
use domain::ids::AttachmentId;
use futures::TryStreamExt;
use projections::history::{self, Attachment};

use super::parse;
use crate::app::App;
use crate::extract::Caller;
use crate::layers::traced;
use crate::problem::{FileProblem, Problem};
use crate::routes::positioned::MinPosition;

pub(in crate::routes) async fn download(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Path(id): Path<String>,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    let (id, history) = (parse(&id)?, &app.read_models.history);
    let lag = least.await_in(&app, history, caller.user).await?;
    let found = history::attachment(history.db(), caller.user, id).await?.ok_or(FileProblem::NoSuchAttachment)?;
    let etag = format!("\"{}\"", String::from(found.file.digest));
    if names(&asked, &header::IF_NONE_MATCH, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let size = found.file.size;
    let part = match Part::of(&asked, &etag, size) {
        Part::All => None,
        Part::Some(part) => Some(part),
        Part::Nothing => {
            let range = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((range, Problem::from(FileProblem::NoSuchPart)).into_response());
        }
    };
    let bytes = match app.files.get(found.kept_as, part.clone()).await? {
        Some(bytes) => bytes.inspect_err(|error| {
            tracing::warn!(cause = store::in_full(error), "a file breaks off");
        }),
        None => return Err(missing(&app, id).await),
    };
    let mut response = (headers(found, etag), Body::from_stream(traced(bytes))).into_response();
    tell_part(&mut response, part, size);
    lag.mark(&mut response);
    Ok(response)
}

/// Why there are no bytes: it was removed just now, or else they are lost.
async fn missing(app: &App, id: AttachmentId) -> Problem {
    match app.executor.look::<attachment::Attachment>(id).await {
        Ok(stream) if stream.place().is_none() => FileProblem::NoSuchAttachment.into(),
        Ok(_) => FileProblem::Lost.into(),
        Err(error) => error.into(),
    }
}

fn headers(found: Attachment, etag: String) -> [(HeaderName, String); 5] {
    [
        (header::CONTENT_TYPE, found.file.media_type.as_str().to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{}", encoded(found.file.name.as_str()))),
        (header::ETAG, etag),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
    ]
}

/// Whether a header has this tag among its own.
fn names(asked: &HeaderMap, header: &HeaderName, etag: &str) -> bool {
    let tags = asked.get_all(header).iter().filter_map(|tags| tags.to_str().ok()).flat_map(|tags| tags.split(','));
    tags.map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

fn tell_part(response: &mut Response, part: Option<Range<u64>>, size: u64) {
    let length = part.as_ref().map_or(size, |part| part.end - part.start);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let Some(part) = part else { return };
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
    if let Ok(range) = HeaderValue::try_from(range) {
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
}

/// How much of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    All,
    Some(Range<u64>),
    /// It lies behind the end.
    Nothing,
}

impl Part {
    /// One range is given as it is asked for; whatever else is asked for, all is.
    fn of(asked: &HeaderMap, etag: &str, size: u64) -> Self {
        let is_of_this = asked.get(header::IF_RANGE).is_none_or(|tag| tag.as_bytes() == etag.as_bytes());
        let range = asked.get(header::RANGE).and_then(|range| range.to_str().ok()).filter(|_| is_of_this);
        range.and_then(|range| Self::parse(range, size)).unwrap_or(Self::All)
    }

    fn parse(range: &str, size: u64) -> Option<Self> {
        let (first, last) = range.strip_prefix("bytes=")?.trim().split_once('-')?;
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let range = match (first, last) {
            ("", last) => size.saturating_sub(number(last)?)..size,
            (first, "") => number(first)?..size,
            (first, last) => {
                let (first, last): (u64, u64) = (number(first)?, number(last)?);
                (first <= last).then(|| first..last.saturating_add(1).min(size))?
            }
        };
        Some(if range.start < range.end { Self::Some(range) } else { Self::Nothing })
    }
}

/// A name as RFC 5987 has it: whatever is not plain is percent-encoded.
fn encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // A text takes whatever is written.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_part_of_the_file_or_nothing() {
        for (range, part) in [
            ("bytes=0-0", Part::Some(0..1)),
            ("bytes=2-5", Part::Some(2..6)),
            ("bytes=2-", Part::Some(2..10)),
            ("bytes=2-99", Part::Some(2..10)),
            ("bytes=-3", Part::Some(7..10)),
            ("bytes=-99", Part::Some(0..10)),
            ("bytes=10-", Part::Nothing),
            ("bytes=10-12", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=99999999999999999999-", Part::All),
            ("bytes=5-2", Part::All),
            ("bytes=0-1,3-4", Part::All),
            ("bytes=-", Part::All),
            ("bytes=+1-2", Part::All),
            ("bytes", Part::All),
            ("lines=0-1", Part::All),
        ] {
            let asked = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(range))]);
            assert_eq!(Part::of(&asked, "\"a\"", 10), part, "{range}");
        }
    }

    #[test]
    fn a_range_is_of_the_file_that_the_client_knows() {
        for (tag, part) in [("\"a\"", Part::Some(0..1)), ("\"b\"", Part::All), ("W/\"a\"", Part::All)] {
            let range = (header::RANGE, HeaderValue::from_static("bytes=0-0"));
            let asked = HeaderMap::from_iter([range, (header::IF_RANGE, HeaderValue::from_static(tag))]);
            assert_eq!(Part::of(&asked, "\"a\"", 10), part, "{tag}");
        }
    }

    #[test]
    fn a_tag_is_found_among_others() {
        for (tags, found) in [("\"a\"", true), ("\"b\", W/\"a\"", true), ("*", true), ("\"b\"", false), ("a", false)] {
            let asked = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(tags))]);
            assert_eq!(names(&asked, &header::IF_NONE_MATCH, "\"a\""), found, "{tags}");
        }
    }

    #[test]
    fn a_name_is_encoded_where_it_must_be() {
        for (name, written) in [
            ("plan-1.pdf", "plan-1.pdf"),
            ("a b.txt", "a%20b.txt"),
            ("여.png", "%EC%97%AC.png"),
            ("\";x='%*(", "%22%3Bx%3D%27%25%2A%28"),
        ] {
            assert_eq!(encoded(name), written);
        }
    }
}
