//! What pages have in common: how long they are, and where the next one begins.

use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use domain::values::Invalid;
use store::Position;

use crate::problem::Fields;

const USUAL: u32 = 20;
const LONGEST: u32 = 100;

/// How many are shown; whoever asks for more gets as many as there may be.
pub(crate) fn limit(fields: &mut Fields, asked: Option<u32>) -> Option<u32> {
    limit_of("limit", fields, asked)
}

/// The same, whatever the parameter is called.
pub(crate) fn limit_of(name: &'static str, fields: &mut Fields, asked: Option<u32>) -> Option<u32> {
    let limit = asked.unwrap_or(USUAL).min(LONGEST);
    fields.take(name, if limit > 0 { Ok(limit) } else { Err(Invalid::OutOfRange(1, LONGEST)) })
}

/// A page whose body has no room for it names the next one in `Link`.
pub(super) struct Paged<T>(pub(super) Option<HeaderValue>, pub(super) T);

impl<T: IntoResponse> IntoResponse for Paged<T> {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        if let Some(link) = self.0 {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

/// The same query once more, from another place on.
pub(super) fn next_link(uri: &Uri, name: &str, last: Position) -> Option<HeaderValue> {
    const PLACES: [&str; 4] = ["before", "after", "skip", "offset"];
    let is_kept = |pair: &&str| !PLACES.contains(&pair.split('=').next().unwrap_or_default());
    let kept = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).filter(is_kept);
    let query: Vec<_> = kept.map(str::to_owned).chain([format!("{name}={last}")]).collect();
    HeaderValue::try_from(format!("<?{}>; rel=\"next\"", query.join("&"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_asked_for_like_this_one() {
        let link = |query: &str| {
            let uri = format!("/api/v1/sessions{query}").parse().unwrap();
            next_link(&uri, "before", Position::new(7)).unwrap()
        };
        assert_eq!(link(""), "<?before=7>; rel=\"next\"");
        assert_eq!(link("?limit=3&q=a%26b&before=9"), "<?limit=3&q=a%26b&before=7>; rel=\"next\"");
        assert_eq!(link("?skip=2&&branch=all&after=1"), "<?branch=all&before=7>; rel=\"next\"");
    }
}
