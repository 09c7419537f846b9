//! An answer that is kept as a file, and goes out page by page as it is read.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream};
use futures::{StreamExt, TryStreamExt};
use store::StoreError;

use super::positioned::Lag;
use crate::layers::traced;

/// What kind of file it is, and what it is to be called.
pub(super) struct File {
    pub(super) content_type: &'static str,
    pub(super) disposition: &'static str,
}

impl File {
    pub(super) async fn of(
        self,
        pages: impl Stream<Item = Result<String, StoreError>> + Send + 'static,
    ) -> Result<Response, StoreError> {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(self.content_type)),
            (header::CONTENT_DISPOSITION, HeaderValue::from_static(self.disposition)),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        Ok((headers, body(pages).await?).into_response())
    }
}

/// The same for who reads it at once: JSON, and how far it lags.
pub(crate) async fn json(
    pages: impl Stream<Item = Result<String, StoreError>> + Send + 'static,
    lag: Lag,
) -> Result<Response, StoreError> {
    let json = HeaderValue::from_static("application/json");
    let mut response = ([(header::CONTENT_TYPE, json)], body(pages).await?).into_response();
    lag.mark(&mut response);
    Ok(response)
}

/// The first page is read before the answer begins, so that a database that is away can still be told.
async fn body(pages: impl Stream<Item = Result<String, StoreError>> + Send + 'static) -> Result<Body, StoreError> {
    let mut pages = Box::pin(pages);
    let first = pages.try_next().await?;
    let pages = stream::iter(first.map(Ok)).chain(pages).inspect(|page: &Result<String, StoreError>| {
        if let Err(error) = page {
            tracing::error!(cause = store::in_full(error), "a download broke off");
        }
    });
    Ok(Body::from_stream(traced(pages)))
}
