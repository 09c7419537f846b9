//! In which conversation a message is said; and which is the one of a user whose client knows of no others.
//!
//! When that is deleted, another takes its place. Their ids follow from their owner and their number: who begins one twice
//! at once begins the same.

use domain::chat::conversation::{Conversation, ConversationCommand, Features};
use domain::ids::{ConversationId, UserId};
use store::{Executor, StoreError, Unit};
use uuid::Uuid;

use super::post_message::PostError;

/// Where a message is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    New,
    In(ConversationId),
    /// In the one that its owner has where nothing is said of conversations; made when it is first needed.
    Home,
}

/// Looks for the first of somebody's that was not deleted. All deleted ones come before it, so that few have to be looked at.
struct Search {
    owner: UserId,
    at: u32,
    /// So many are known to be deleted.
    deleted: u32,
    /// One that is not.
    found: Option<u32>,
}

impl Search {
    const fn of(owner: UserId) -> Self {
        Self { owner, at: 0, deleted: 0, found: None }
    }

    fn id(&self) -> ConversationId {
        Uuid::new_v5(&Uuid::from(self.owner), format!("home {}", self.at).as_bytes()).into()
    }

    /// Goes on to the next that has to be looked at; `false` where this is the one.
    const fn goes_on(&mut self, is_deleted: bool) -> bool {
        if is_deleted {
            self.deleted = self.at.saturating_add(1);
        } else {
            self.found = Some(self.at);
        }
        self.at = match self.found {
            None => self.at.saturating_mul(2).saturating_add(1),
            Some(found) if self.deleted < found => self.deleted.midpoint(found),
            Some(found) => {
                self.at = found;
                return false;
            }
        };
        true
    }
}

/// The one conversation of somebody's, whether it was begun or not.
pub(crate) async fn home_of(executor: &Executor, owner: UserId) -> Result<ConversationId, StoreError> {
    let mut search = Search::of(owner);
    while search.goes_on(executor.look::<Conversation>(search.id()).await? == Conversation::Deleted) {}
    Ok(search.id())
}

/// Enters it, or begins it.
pub(super) async fn enter_home(unit: &mut Unit<'_>, owner: UserId) -> Result<ConversationId, PostError> {
    let mut search = Search::of(owner);
    while search.goes_on(*unit.load::<Conversation>(search.id()).await?.state() == Conversation::Deleted) {}
    let mut home = unit.load::<Conversation>(search.id()).await?;
    home.decide(match home.state() {
        Conversation::Unknown => ConversationCommand::Start { owner, features: Features::default() },
        Conversation::Open { .. } | Conversation::Deleted => ConversationCommand::Enter { by: owner },
    })?;
    Ok(search.id())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which one is found, and how many were looked at.
    fn found(deleted: u32) -> (u32, u32) {
        let (mut search, mut looks) = (Search::of(Uuid::nil().into()), 1);
        while search.goes_on(search.at < deleted) {
            looks += 1;
        }
        (search.at, looks)
    }

    #[test]
    fn the_first_that_was_not_deleted_is_found_with_few_looks() {
        assert_eq!(found(0), (0, 1));
        for deleted in (1..200).chain([1_000, 123_456, 1 << 20]) {
            let (at, looks) = found(deleted);
            assert_eq!(at, deleted);
            assert!(looks <= 2 * deleted.ilog2() + 3, "{looks} for {deleted}");
        }
    }

    #[test]
    fn each_owner_has_others() {
        let ids = [1, 2].map(|owner| Search::of(Uuid::from_u128(owner).into()).id());
        assert_ne!(ids[0], ids[1]);
    }
}
