//! What limits keep: texts outside, values while they are decided on.

use std::any::Any;
use std::collections::HashMap;

use domain::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a limit keeps, as JSON. One that can't be read, such as that of another version, starts anew: it is worth nobody's
/// request.
pub trait State: Any + Default + Send + Serialize + DeserializeOwned {}

impl<S: Any + Default + Send + Serialize + DeserializeOwned> State for S {}

/// All states of a batch, by their keys.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) slots: HashMap<String, Slot>,
    /// Since when there has been something to keep states in.
    pub(super) since: Timestamp,
}

#[derive(Default)]
pub(super) struct Slot {
    /// Empty where none was kept.
    text: String,
    value: Option<Box<dyn Value>>,
    /// When it expires, where it is to be kept.
    kept: Option<Timestamp>,
}

/// The states that one rule decides by.
pub struct States<'a> {
    pub(super) keys: &'a [String],
    pub(super) batch: &'a mut Batch,
    pub(super) now: Timestamp,
}

trait Value: Any + Send {
    fn text(&self) -> String;
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<S: State> Value for S {
    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl Batch {
    /// Whether there is a state that was never kept.
    pub(super) fn has_empty(&self) -> bool {
        self.slots.values().any(|slot| slot.text.is_empty())
    }
}

impl Slot {
    pub(super) const fn of(text: String) -> Self {
        Self { text, value: None, kept: None }
    }

    /// Whether nothing was kept, nor is to be.
    const fn is_empty(&self) -> bool {
        self.text.is_empty() && self.kept.is_none()
    }

    fn value<S: State>(&mut self) -> Option<&mut S> {
        let is_read = self.value.as_mut().is_some_and(|value| (**value).as_any().is::<S>());
        if !is_read {
            self.value = Some(Box::new(serde_json::from_str::<S>(&self.text).unwrap_or_default()));
        }
        self.value.as_mut().and_then(|value| (**value).as_any().downcast_mut())
    }

    /// What is to be kept, and until when.
    pub(super) fn kept(&self) -> Option<(String, Timestamp)> {
        Some((self.value.as_ref()?.text(), self.kept?))
    }
}

impl States<'_> {
    /// The moment of the decision.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The state of the key at that place. What is changed is kept where [`Self::keep`] says so.
    pub fn get<S: State + Clone>(&mut self, place: usize) -> S {
        self.slot(place).and_then(Slot::value::<S>).cloned().unwrap_or_default()
    }

    /// Keeps a state, until it is as good as none.
    pub fn keep<S: State>(&mut self, place: usize, state: S, expires_at: Timestamp) {
        if let Some(slot) = self.slot(place) {
            slot.value = Some(Box::new(state));
            slot.kept = Some(expires_at);
        }
    }

    /// Whether there is a state.
    #[must_use]
    pub fn is_there(&self, place: usize) -> bool {
        self.slot_at(place).is_some_and(|slot| !slot.is_empty())
    }

    /// Whether a state may have been there and have been lost: none was kept, and that there is something to keep them in is
    /// newer than that.
    #[must_use]
    pub fn may_be_lost(&self, place: usize, since: Timestamp) -> bool {
        self.batch.since > since && self.slot_at(place).is_some_and(Slot::is_empty)
    }

    fn slot_at(&self, place: usize) -> Option<&Slot> {
        self.batch.slots.get(self.keys.get(place)?)
    }

    fn slot(&mut self, place: usize) -> Option<&mut Slot> {
        self.batch.slots.get_mut(self.keys.get(place)?)
    }
}
