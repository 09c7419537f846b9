//! What genai's errors mean. Their texts repeat what the provider said, which may be a key or a message: none is kept.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use genai::{Error, webc};
use jiff::fmt::rfc2822;
use provider_http::StatusCode;
use provider_http::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use serde_json::Value;

use crate::provider::fault::Fault;

/// What a provider may ask to be left alone for.
const LONGEST: Duration = Duration::from_hours(24);
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// A stream hides the status of a refused request in the source of its error.
pub fn fault(error: &Error) -> Fault {
    if let Error::WebStream { error, .. } = error {
        return hidden(error.as_ref());
    }
    if let Error::ChatResponse { body, .. } = error {
        return said_in_stream(body);
    }
    if let Error::WebModelCall { webc_error, .. } = error {
        return answered(webc_error);
    }
    if let Error::StreamParse { serde_error, .. } = error {
        return if serde_error.is_eof() { Fault::Truncated } else { Fault::Garbled };
    }
    error.status().map_or(Fault::Unanswerable, |status| {
        let body = if let Error::HttpError { body, .. } = error { body.as_str() } else { "" };
        refusal(status, error.headers(), body)
    })
}

/// What came in place of an answer that is no stream.
fn answered(error: &webc::Error) -> Fault {
    match error {
        webc::Error::ResponseFailedStatus { status, body, headers } => refusal(*status, Some(headers), body),
        webc::Error::Reqwest(error) => Fault::Broken { what: what_broke(error) },
        webc::Error::ResponseFailedNotJson { .. }
        | webc::Error::ResponseFailedInvalidJson { .. }
        | webc::Error::JsonValueExt(_) => Fault::Garbled,
    }
}

fn refusal(status: StatusCode, headers: Option<&HeaderMap>, body: &str) -> Fault {
    let said = serde_json::from_str(body).unwrap_or(Value::Null);
    let retry_after = headers.and_then(retry_after);
    Fault::Status { code: meant(status.as_u16(), &said), retry_after, word: word(&said) }
}

/// What the library wraps while it streams: its own error, or that of the connection.
fn hidden(error: &(dyn StdError + Send + Sync + 'static)) -> Fault {
    if let Some(error) = error.downcast_ref::<Error>() {
        return fault(error);
    }
    match error.downcast_ref::<provider_http::Error>() {
        Some(error) => Fault::Broken { what: what_broke(error) },
        None => Fault::Garbled,
    }
}

/// In the words of the operating system, which know no address.
fn what_broke(error: &provider_http::Error) -> String {
    let mut source: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>().filter(|error| error.raw_os_error().is_some()) {
            return error.kind().to_string();
        }
        source = error.source();
    }
    let what = if error.is_timeout() {
        "not in time"
    } else if error.is_connect() {
        "not reached"
    } else {
        "broken off"
    };
    what.to_owned()
}

/// Some vendors say in the stream what others say as a status.
fn said_in_stream(body: &Value) -> Fault {
    let said = body.get("error").unwrap_or(body);
    let code = said.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let word = word(body);
    match (code.filter(|code| (400..600).contains(code)), word) {
        (Some(code), word) => Fault::Status { code: meant(code, body), retry_after: None, word },
        (None, Some(word)) if is_limit(&word) => Fault::Status { code: 429, retry_after: None, word: Some(word) },
        // Gemini, of a prompt that it blocks: there are no candidates.
        (None, None) if body.get("finishReason").is_some() => Fault::Unanswerable,
        (None, word) => Fault::Status { code: 500, retry_after: None, word },
    }
}

/// Gemini says of a key that does not open what others say of a request that can't be read.
fn meant(code: u16, body: &Value) -> u16 {
    let details = body.pointer("/error/details").and_then(Value::as_array);
    let mut reasons = details.into_iter().flatten().filter_map(|detail| detail.get("reason")?.as_str());
    if code == 400 && reasons.any(|reason| reason == "API_KEY_INVALID") { 401 } else { code }
}

fn is_limit(word: &str) -> bool {
    word.starts_with("rate_limit") || word == "RESOURCE_EXHAUSTED"
}

/// The vendor's own word for what is wrong, like `insufficient_quota`: letters and underscores alone, so that it is
/// neither a key nor a text.
fn word(body: &Value) -> Option<String> {
    let said = body.get("error").unwrap_or(body);
    let words = ["status", "code", "type"].iter().filter_map(|name| said.get(name)?.as_str());
    let is_word = |word: &&str| {
        (1..=40).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
    };
    words.filter(is_word).map(str::to_owned).next()
}

/// Seconds, milliseconds (OpenAI), or a date, which is read by the provider's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let millis = text(&RETRY_AFTER_MS).and_then(|text| text.parse::<u64>().ok()).map(Duration::from_millis);
    let after = millis.or_else(|| {
        let text = text(&RETRY_AFTER)?;
        let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        seconds.or_else(|| until(text, headers.get(DATE)?.to_str().ok()?))
    });
    after.map(|after| after.min(LONGEST))
}

fn until(then: &str, now: &str) -> Option<Duration> {
    let parsed = |text| rfc2822::parse(text).ok().map(|time| time.timestamp().as_second());
    let left = parsed(then)?.saturating_sub(parsed(now)?);
    Some(Duration::from_secs(u64::try_from(left).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use genai::ModelIden;
    use genai::adapter::AdapterKind;
    use provider_http::header::HeaderValue;
    use serde_json::json;

    use super::*;

    fn refused(status: u16, headers: &[(HeaderName, &'static str)], body: &str) -> Fault {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        let error = Error::HttpError {
            status: StatusCode::from_u16(status).unwrap(),
            canonical_reason: "some reason".to_owned(),
            body: body.to_owned(),
            headers: Box::new(headers),
        };
        let model_iden = ModelIden::new(AdapterKind::OpenAI, "gpt-4o");
        fault(&Error::WebStream { model_iden, cause: error.to_string(), error: Box::new(error) })
    }

    fn returns(headers: &[(HeaderName, &'static str)]) -> Option<Duration> {
        let Fault::Status { retry_after, .. } = refused(429, headers, "") else { panic!("it has a status") };
        retry_after
    }

    #[test]
    fn a_streams_error_gives_up_the_status_it_hides() {
        let body = r#"{"error": {"message": "You exceeded your quota, sk-123", "code": "insufficient_quota"}}"#;
        let word = Some("insufficient_quota".to_owned());
        let retry_after = Some(Duration::from_secs(7));
        assert_eq!(refused(429, &[(RETRY_AFTER, "7")], body), Fault::Status { code: 429, retry_after, word });
    }

    #[test]
    fn what_is_no_stream_is_refused_in_the_same_way() {
        let fault = |webc_error| {
            fault(&Error::WebModelCall { model_iden: ModelIden::new(AdapterKind::OpenAI, "x"), webc_error })
        };
        let (status, body) = (StatusCode::TOO_MANY_REQUESTS, r#"{"error": {"code": "insufficient_quota"}}"#.to_owned());
        let headers = Box::new(HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("7"))]));
        let (word, retry_after) = (Some("insufficient_quota".to_owned()), Some(Duration::from_secs(7)));
        let refused = webc::Error::ResponseFailedStatus { status, body, headers };
        assert_eq!(fault(refused), Fault::Status { code: 429, retry_after, word });
        let (body, cause, content_type) = ("sk-123".to_owned(), "sk-123".to_owned(), "text/html".to_owned());
        let odd = [
            webc::Error::ResponseFailedInvalidJson { body: body.clone(), cause },
            webc::Error::ResponseFailedNotJson { content_type, body },
        ];
        assert_eq!(odd.map(fault), [Fault::Garbled, Fault::Garbled]);
    }

    #[test]
    fn the_time_to_return_is_read_in_all_its_forms() {
        let date = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        let millis = Duration::from_millis;
        assert_eq!(returns(&[(RETRY_AFTER, "0.5")]), Some(millis(500)));
        assert_eq!(returns(&[(RETRY_AFTER, "2"), (RETRY_AFTER_MS, "1500")]), Some(millis(1_500)));
        assert_eq!(returns(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:50:07 GMT"), date.clone()]), Some(millis(30_000)));
        assert_eq!(returns(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:00:00 GMT"), date]), Some(Duration::ZERO));
        assert_eq!(returns(&[(RETRY_AFTER, "99999999999999999999")]), None, "no time");
        assert_eq!(returns(&[(RETRY_AFTER, "9999999999")]), Some(LONGEST));
        for odd in ["soon", "-1", "NaN", "Sun, 06 Nov 1994 08:50:07 GMT"] {
            let odd = HeaderValue::from_static(odd);
            assert_eq!(retry_after(&HeaderMap::from_iter([(RETRY_AFTER, odd)])), None);
        }
    }

    #[test]
    fn what_is_said_in_the_stream_counts_as_a_status() {
        let status = |body: Value| {
            let Fault::Status { code, word, .. } = said_in_stream(&body) else { panic!("it has a status") };
            (code, word.unwrap_or_default())
        };
        let said = |code, word: &str| (code, word.to_owned());
        assert_eq!(status(json!({"message": "x", "code": 429})), said(429, ""));
        assert_eq!(
            status(json!({"type": "error", "error": {"type": "rate_limit_error"}})),
            said(429, "rate_limit_error")
        );
        assert_eq!(status(json!({"error": {"code": 503, "status": "UNAVAILABLE"}})), said(503, "UNAVAILABLE"));
        assert_eq!(status(json!({"message": "x", "type": "server_error"})), said(500, "server_error"));
        assert_eq!(said_in_stream(&json!({"finishReason": null, "usageMetadata": null})), Fault::Unanswerable);
    }

    #[test]
    fn a_key_that_gemini_refuses_is_not_taken_for_a_request_that_it_refuses() {
        let body = |reason: &str| {
            let info = "type.googleapis.com/google.rpc.ErrorInfo";
            let details = json!([{"@type": "other"}, {"@type": info, "reason": reason, "domain": "googleapis.com"}]);
            json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "not valid", "details": details}})
        };
        for (reason, meant) in [("API_KEY_INVALID", 401), ("FIELD_INVALID", 400)] {
            let word = Some("INVALID_ARGUMENT".to_owned());
            let fault = Fault::Status { code: meant, retry_after: None, word };
            assert_eq!(refused(400, &[], &body(reason).to_string()), fault);
            assert_eq!(said_in_stream(&body(reason)), fault);
        }
        assert_eq!(refused(400, &[], "{}"), Fault::Status { code: 400, retry_after: None, word: None });
    }

    #[test]
    fn only_a_word_of_a_refusal_is_kept() {
        for code in ["sk-abc", "your key is bad", "a0b1c2d3", ""] {
            let body = json!({"error": {"code": code}}).to_string();
            assert_eq!(refused(401, &[], &body), Fault::Status { code: 401, retry_after: None, word: None });
        }
    }
}
