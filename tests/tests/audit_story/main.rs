//! A story that is told over HTTP and at the machine itself, and the audit log that it leaves: read in every way, live and
//! rebuilt, it is what the script says.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

mod reading;
mod story;

use tests::{Service, Stage, on_both_engines};

use crate::story::Story;

/// `EdDSA`, so that there are signing keys; no leeway, so that an old token that was used is reuse at once.
async fn told(stage: Stage) -> (Service, Story) {
    let settings = [("ALGORITHM", "EdDSA"), ("REFRESH_TOKEN_LEEWAY_SECONDS", "0")];
    let service = Service::start(stage, &settings).await;
    let story = Story::tell(&service).await;
    (service, story)
}

on_both_engines! {
    async fn the_audit_log_of_a_story_is_its_script(stage: Stage) {
        let (service, mut story) = told(stage).await;
        story.is_read_by_everybody(&service).await;
        let live = reading::printed(&service).await;
        service.operate(["rebuild", "token_activity"]).await;
        assert_eq!(reading::printed(&service).await, live, "rebuilt and live differ");
        story.is_read_by_everybody(&service).await;
    }
}
