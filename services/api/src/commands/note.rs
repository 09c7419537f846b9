//! `Note` → one of the notices: what is worth looking up later.

use domain::ids::NoticeId;
use domain::token::notice::{Notice, NoticeEvent};
use store::{Command, StoreError, Unit, fresh_id};

#[derive(Debug)]
pub(crate) struct Note(pub(crate) NoticeEvent);

impl Command for Note {
    const NAME: &'static str = "note";
    type Output = ();
    type Error = StoreError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), StoreError> {
        note(unit, self.0.clone());
        Ok(())
    }
}

/// The same under an id that others may come up with as well: the first of them notes it.
#[derive(Debug)]
pub(crate) struct NoteOnce(pub(crate) NoticeId, pub(crate) NoticeEvent);

impl Command for NoteOnce {
    const NAME: &'static str = "note_once";
    /// Whether this was the first.
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<bool, StoreError> {
        let mut stream = unit.load_fresh::<Notice>(self.0).await?;
        Ok(stream.decide(self.1.clone()).is_ok())
    }
}

/// A notice beside whatever else a command decides.
pub(super) fn note(unit: &mut Unit<'_>, what: NoticeEvent) {
    // A stream that has just begun can't refuse.
    let _ = unit.begin::<Notice>(fresh_id()).decide(what);
}
