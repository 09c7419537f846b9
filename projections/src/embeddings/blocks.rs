//! Blocks of an owner's vectors, for SQLite: many in one row, so that all of them can be looked through.
//!
//! A vector has a slot, which counts from 0 for each owner, model and dimension and is used once. A block has as many slots as
//! it says below, and is made when the last of them is taken; until then its vectors are found one by one. So what is in a
//! block depends on what there is and not on how it came, and a rebuilt one is the same.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

use domain::ids::ConversationId;
use uuid::Uuid;

use super::Place;
use super::vector::{Rough, rough, rough_dot, rough_query};
use crate::history::Role;
use crate::search::Among;

/// How many vectors a block has room for.
pub(super) const SLOTS: i64 = 256;
/// Position and factor.
const HEAD: usize = 12;
/// Time, conversation and role.
const PLACE: usize = 25;

/// Up to which slot there are blocks where so many slots are taken.
pub(super) const fn blocked(taken: i64) -> i64 {
    taken - taken % SLOTS
}

/// What blocks are kept as: the vectors, and, apart, what they are filtered by. An empty slot is all zeros; positions are not 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) vectors: Vec<u8>,
    pub(super) places: Vec<u8>,
}

impl Block {
    pub(super) fn empty(dimension: usize) -> Self {
        let slots = usize::try_from(SLOTS).unwrap_or(0);
        Self { vectors: vec![0; slots * (HEAD + dimension)], places: vec![0; slots * PLACE] }
    }

    pub(super) fn put(&mut self, slot: i64, place: &Place, vector: &[f32]) {
        let Rough { factor, numbers } = rough(vector);
        let head = place.position.to_le_bytes().into_iter().chain(factor.to_le_bytes());
        let record = head.chain(numbers.iter().map(|it| it.cast_unsigned()));
        fill(record_of(&mut self.vectors, HEAD + vector.len(), slot), record);
        let time = place.created_at.to_le_bytes().into_iter();
        let conversation = Uuid::from(place.conversation).into_bytes();
        fill(record_of(&mut self.places, PLACE, slot), time.chain(conversation).chain([letter(place.role)]));
    }

    pub(super) fn clear(&mut self, slot: i64, dimension: usize) {
        record_of(&mut self.vectors, HEAD + dimension, slot).fill(0);
        record_of(&mut self.places, PLACE, slot).fill(0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.vectors.iter().all(|byte| *byte == 0)
    }
}

fn record_of(records: &mut [u8], length: usize, slot: i64) -> &mut [u8] {
    let index = usize::try_from(slot % SLOTS).unwrap_or(0);
    records.chunks_exact_mut(length).nth(index).unwrap_or_default()
}

fn fill(record: &mut [u8], bytes: impl Iterator<Item = u8>) {
    record.iter_mut().zip(bytes).for_each(|(at, byte)| *at = byte);
}

pub(super) const fn letter(role: Role) -> u8 {
    match role {
        Role::User => b'u',
        Role::Bot => b'b',
        Role::Assistant => b'a',
        Role::System => b's',
    }
}

/// A vector that may be among the nearest: greater is nearer, then newer.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    likeness: f32,
    position: i64,
    slot: i64,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.likeness.total_cmp(&other.likeness).then(self.position.cmp(&other.position))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Which messages are looked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) among: Among,
    /// The owner's, where it matters.
    pub(super) favourites: HashSet<ConversationId>,
}

impl Wanted {
    pub(super) fn is_everything(&self) -> bool {
        let Among { owner: _, conversation, role, since, until, favourite } = &self.among;
        conversation.is_none() && role.is_none() && since.is_none() && until.is_none() && favourite.is_none()
    }

    pub(super) fn is(&self, conversation: ConversationId, role: u8, created_at: i64) -> bool {
        self.among.since.is_none_or(|since| created_at >= since.as_micros())
            && self.among.until.is_none_or(|until| created_at < until.as_micros())
            && self.among.role.is_none_or(|wanted| role == letter(wanted))
            && self.among.conversation.is_none_or(|wanted| conversation == wanted)
            && self.among.favourite.is_none_or(|wanted| self.favourites.contains(&conversation) == wanted)
    }

    /// Whether it is what stands in a block's `places`.
    fn is_at(&self, place: &[u8]) -> bool {
        let parts =
            place.split_first_chunk::<8>().and_then(|(time, rest)| Some((time, rest.split_first_chunk::<16>()?)));
        let Some((time, (conversation, &[role]))) = parts else { return false };
        self.is(Uuid::from_bytes(*conversation).into(), role, i64::from_le_bytes(*time))
    }
}

/// Looks through blocks for those that are nearest as far as rounded numbers tell.
pub(super) struct Scan {
    query: Rough<i16>,
    wanted: Arc<Wanted>,
    most: usize,
    best: BinaryHeap<Reverse<Candidate>>,
}

impl Scan {
    pub(super) fn new(vector: &[f32], wanted: Arc<Wanted>, most: usize) -> Self {
        Self { query: rough_query(vector), wanted, most, best: BinaryHeap::with_capacity(most + 1) }
    }

    /// The block of this number; without `places` where nothing is filtered.
    pub(super) fn look(&mut self, number: i64, vectors: &[u8], places: Option<&[u8]>) {
        let records = vectors.chunks_exact(HEAD + self.query.numbers.len());
        let mut places = places.map(|places| places.chunks_exact(PLACE));
        for (slot, record) in (number * SLOTS..).zip(records) {
            let place = places.as_mut().map(|places| places.next().unwrap_or_default());
            let Some(candidate) = self.candidate(slot, record) else { continue };
            if place.is_none_or(|place| self.wanted.is_at(place)) {
                self.offer(candidate);
            }
        }
    }

    /// What stands in a slot, where it is nearer than the worst that is kept.
    fn candidate(&self, slot: i64, record: &[u8]) -> Option<Candidate> {
        let (position, rest) = record.split_first_chunk::<8>()?;
        let (factor, numbers) = rest.split_first_chunk::<4>()?;
        let position = i64::from_le_bytes(*position);
        #[expect(clippy::cast_precision_loss, reason = "it is rounded as it is")]
        let likeness = rough_dot(&self.query.numbers, numbers) as f32 * f32::from_le_bytes(*factor);
        let candidate = Candidate { likeness, position, slot };
        let is_near = self.best.len() < self.most || self.best.peek().is_some_and(|worst| candidate > worst.0);
        (position != 0 && is_near).then_some(candidate)
    }

    fn offer(&mut self, candidate: Candidate) {
        self.best.push(Reverse(candidate));
        if self.best.len() > self.most {
            self.best.pop();
        }
    }

    /// The slots of the nearest, in no order.
    pub(super) fn slots(self) -> Vec<i64> {
        self.best.into_iter().map(|Reverse(candidate)| candidate.slot).collect()
    }
}
