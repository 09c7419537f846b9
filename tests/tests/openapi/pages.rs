//! The document as pages, in a browser that reaches nothing but the service.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use tests::browser::Page;
use tests::{Service, Stage};

/// What a page shows, beside what the document has.
struct Shown {
    page: Page,
    service: Service,
    document: Value,
}

impl Shown {
    async fn at(path: &str) -> Self {
        let service = Service::start(Stage::sqlite().await, &[]).await;
        let document = service.request(Method::GET, "/openapi.json").send().await.unwrap().json().await.unwrap();
        let page = Page::open(&format!("{}{path}", service.node.url())).await;
        Self { page, service, document }
    }

    /// The document's operations, each with its path.
    fn operations(&self) -> impl Iterator<Item = (&str, &Value)> {
        let paths = self.document["paths"].as_object().unwrap();
        paths.iter().flat_map(|(path, all)| all.as_object().unwrap().values().map(move |it| (path.as_str(), it)))
    }

    /// What stands between these, wherever they stand.
    fn between(&self, before: &str, after: char) -> BTreeSet<&str> {
        self.page.dom.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
    }

    /// All of it came from the service, the document as well.
    fn came_from_here(&self) {
        let (here, requests) = (format!("{}/", self.service.node.url()), &self.page.requests);
        assert!(requests.iter().all(|url| url.starts_with(&here)), "{requests:#?}");
        assert!(requests.contains(&format!("{here}openapi.json")), "{requests:#?}");
    }
}

#[tokio::test]
async fn swagger_ui_shows_every_operation() {
    let shown = Shown::at("/docs").await;
    let wanted: BTreeSet<String> = shown
        .operations()
        .flat_map(|(_, it)| {
            let id = it["operationId"].as_str().unwrap();
            it["tags"].as_array().unwrap().iter().map(move |tag| format!("{}-{id}", tag.as_str().unwrap()))
        })
        .collect();
    let found = shown.between("id=\"operations-", '"').into_iter().filter(|id| !id.starts_with("tag-"));
    assert_eq!(found.map(str::to_owned).collect::<BTreeSet<_>>(), wanted);
    let paths: BTreeSet<_> = shown.operations().map(|(path, _)| path).collect();
    assert_eq!(shown.between("data-path=\"", '"'), paths);
    shown.came_from_here();
}

#[tokio::test]
async fn redoc_shows_every_operation() {
    let shown = Shown::at("/redoc").await;
    let found = shown.between("id=\"tag/", '"').into_iter().filter_map(|id| id.split_once("/operation/"));
    let wanted: BTreeSet<_> = shown.operations().map(|(_, it)| it["operationId"].as_str().unwrap()).collect();
    assert_eq!(found.map(|(_, id)| id).collect::<BTreeSet<_>>(), wanted);
    let headings: BTreeSet<_> = shown.between("</a>", '<').into_iter().map(str::trim).collect();
    for (path, operation) in shown.operations() {
        let summary = operation["summary"].as_str().unwrap();
        assert!(headings.contains(summary), "{path}: {summary}");
    }
    shown.came_from_here();
}
