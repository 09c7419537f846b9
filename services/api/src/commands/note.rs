//! `Note` → one of the notices: what is worth looking up later.

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

/// A notice beside whatever else a command decides.
pub(super) fn note(unit: &mut Unit<'_>, what: NoticeEvent) {
    // A stream that has just begun can't refuse.
    let _ = unit.begin::<Notice>(fresh_id()).decide(what);
}
