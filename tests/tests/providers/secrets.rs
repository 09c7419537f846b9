//! What a provider repeats of a key stays unsaid.

use std::io;
use std::sync::{Arc, Mutex};

use tests::fake_provider::Step;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::util::SubscriberInitExt;

use super::*;

const KEY: &str = "sk-live-0123456789abcdef";

/// Everything that is logged.
#[derive(Clone, Default)]
struct Heap(Arc<Mutex<Vec<u8>>>);

impl io::Write for Heap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Heap {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// An error as OpenAI words it, and worse.
fn tells(status: u16) -> Script {
    let error = format!(r#"{{"error": {{"message": "Incorrect API key provided: {KEY}", "code": "{KEY}"}}}}"#);
    Script { status, ..Script::of(vec![Step::Raw(error.into_bytes())]) }
}

#[tokio::test]
async fn a_key_is_in_no_error_no_debug_and_no_log() {
    let heap = Heap::default();
    let writer = heap.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(move || writer.clone()).finish();
    // Of the whole process: providers are listened to on a thread of their own.
    subscriber.init();
    let mid_stream = Step::Raw(format!("data: {{\"error\": {{\"message\": \"{KEY}\"}}}}\n\n").into_bytes());
    let mut shown = Vec::new();
    for script in [tells(401), tells(400), tells(429), tells(500), Script::of(vec![mid_stream.clone()])] {
        let house = House::with(&[KEY], |_, _| ()).await;
        house.fake.always("gpt-4o", script);
        let failure = house.refused().await;
        shown.push(format!("{failure} {failure:?} {:?}", house.providers));
        assert_eq!(house.fake.asked()[0].api_key.as_deref(), Some(KEY), "it was presented");
    }
    let house = House::with(&[KEY], |_, _| ()).await;
    house.fake.then(Script::says(&["Well, "]).with(1, mid_stream));
    shown.push(format!("{:?}", house.hear().await));
    let garbage = Script::of(vec![Step::Raw(KEY.as_bytes().to_vec())]);
    for script in [tells(401), tells(400), tells(429), tells(500), garbage] {
        let house = embedding::house(&[KEY], |_| ()).await;
        house.fake.always("embed", script);
        shown.push(format!("{:?}", embedding::embed(&house).await.unwrap_err()));
        assert_eq!(house.fake.asked()[0].api_key.as_deref(), Some(KEY), "it was presented");
    }
    let shown = shown.concat();
    let logged = heap.text();
    assert!(logged.contains("a provider did not answer"), "{logged}");
    for (place, text) in [("errors", &shown), ("the log", &logged)] {
        assert!(!text.contains(KEY), "in {place}: {text}");
        assert!(!text.contains("how are you"), "what was asked, in {place}: {text}");
        assert!(!text.contains("my car"), "what was to be embedded, in {place}: {text}");
    }
}
