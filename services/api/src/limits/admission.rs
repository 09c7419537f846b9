//! Lets somebody in: by the places that this node has at hand, else by a decision of all nodes, else by this one alone.

use domain::Timestamp;
use domain::limit::Window;
use domain::token::notice::LimitKind;
use store::StoreError;
use store::limits::States;
use tracing::Instrument;

use super::windows::{Admitted, Aside, Counted, Declined, Refused, Said, Standing, decide, keys};
use super::{RateLimits, shown};
use crate::metrics;

/// A request that was admitted: the places that it takes, each with the moment at which it counts as taken.
#[derive(Debug, Default)]
pub(crate) struct Charge(Vec<(Counted, Timestamp)>);

impl RateLimits {
    pub(super) async fn admit(&self, counted: Vec<Counted>) -> Result<Charge, Refused> {
        let now = self.now();
        let (mut charge, mut standings, mut open) = (Charge::default(), Vec::new(), Vec::new());
        for it in &counted {
            if let Some((at, standing)) = self.0.blocks.admit(it, now) {
                standings.push(standing);
                charge.0.push((it.clone(), at));
            } else {
                open.push(it.clone());
            }
        }
        let admitted = match self.decide(open).await {
            Ok((decided, more)) => {
                charge.0.extend(decided.0);
                standings.extend(more);
                for it in &counted {
                    metrics::limited(it.kind, true);
                }
                Ok(charge)
            }
            Err(Declined { refused, standings: more }) => {
                standings = standings.into_iter().map(|it| it.without(1)).chain(more).collect();
                self.free(charge.0).await;
                Err(refused)
            }
        };
        standings.sort_by_key(|standing| counted.iter().position(|it| it.kind == standing.kind));
        shown::tell(standings);
        admitted
    }

    /// What came to nothing counts nowhere but for its address.
    pub(crate) async fn withdraw(&self, charge: Charge) {
        let mut places = charge.0;
        places.retain(|(it, _)| it.kind != LimitKind::Address);
        shown::take_back(|kind| places.iter().any(|(it, _)| it.kind == kind));
        self.free(places).await;
    }

    async fn free(&self, mut places: Vec<(Counted, Timestamp)>) {
        places.retain(|(it, at)| !self.0.blocks.withdraw(it, *at) && !self.0.local.withdraw(it, *at));
        if places.is_empty() {
            return;
        }
        let keys = places.iter().map(|(it, _)| it.key.clone()).collect();
        let withdraw = move |states: &mut States<'_>| {
            for (place, (it, at)) in places.iter().enumerate() {
                // What is lost is made again by who needs it.
                if !states.is_there(place) {
                    continue;
                }
                let mut window: Window = states.get(place);
                window.withdraw(*at, it.rate);
                let end = window.expires_at(it.rate);
                states.keep(place, window, end);
            }
        };
        if let Err(error) = self.0.limits.decide(keys, withdraw).await {
            tracing::warn!(cause = store::in_full(&error), "what came to nothing counts all the same");
        }
    }

    /// What nodes have in common is decided on a task of its own: whoever asks may go meanwhile, and the places that were taken in
    /// advance are there for others.
    async fn decide(&self, open: Vec<Counted>) -> Result<(Charge, Vec<Standing>), Declined> {
        if open.is_empty() {
            return Ok(<_>::default());
        }
        let (limits, asked) = (self.clone(), open.clone());
        let decided = tokio::spawn(async move { limits.decide_with_all(&asked).await }.in_current_span());
        match decided.await {
            Ok(Ok(Some(said))) => {
                self.0.local.is_not_needed();
                let Admitted { at, standings, taken } = said?;
                let at = taken.into_iter().map(|block| block.map_or(at, |block| block.at()));
                return Ok((Charge(open.into_iter().zip(at).collect()), standings));
            }
            Ok(Err(error)) => tracing::debug!(cause = store::in_full(&error), "a limit is decided by this node alone"),
            Ok(Ok(None)) | Err(_) => tracing::debug!("a limit is decided by this node alone"),
        }
        let Admitted { at, standings, .. } = self.0.local.decide(&open, self.now())?;
        Ok((Charge(open.into_iter().map(|it| (it, at)).collect()), standings))
    }

    /// `None` where windows were lost again while they were made again.
    async fn decide_with_all(&self, counted: &[Counted]) -> Result<Option<Said>, StoreError> {
        let (all, asides) = (counted.to_vec(), self.asides(counted));
        let first = {
            let (all, asides) = (all.clone(), asides.clone());
            self.0.limits.decide(keys(counted), move |states| decide(states, &all, &asides, None)).await
        };
        let said = match first {
            Ok(None) => self.decide_again(all, asides.clone()).await,
            first => first,
        };
        if !matches!(said, Ok(Some(_))) {
            for (it, aside) in counted.iter().zip(asides) {
                self.0.local.put_back(&it.key, aside.admitted, it.rate);
            }
        }
        let said = said?;
        if let Some(Ok(Admitted { at, taken, .. })) = &said {
            for (it, block) in counted.iter().zip(taken).filter_map(|(it, block)| Some((it, block.clone()?))) {
                self.0.blocks.put(&it.key, block, *at);
            }
        }
        Ok(said.map(|said| self.as_seen_here(counted, said)))
    }

    /// By what the log shows of windows that may be lost.
    async fn decide_again(&self, all: Vec<Counted>, asides: Vec<Aside>) -> Result<Option<Said>, StoreError> {
        let seeds = self.seeds(&all).await?;
        self.0.limits.decide(keys(&all), move |states| decide(states, &all, &asides, Some(&seeds))).await
    }

    /// Takes out what this node alone knows, and what is of no use to it any more.
    fn asides(&self, counted: &[Counted]) -> Vec<Aside> {
        let now = self.now();
        let aside = |it: &Counted| Aside {
            left_over: self.0.blocks.over(&it.key, now),
            admitted: self.0.local.untold(&it.key),
        };
        counted.iter().map(aside).collect()
    }

    fn as_seen_here(&self, counted: &[Counted], said: Said) -> Said {
        match said {
            Ok(it) => Ok(Admitted { standings: self.without_left(counted, it.standings), ..it }),
            Err(it) => Err(Declined { standings: self.without_left(counted, it.standings), ..it }),
        }
    }

    /// What was taken in advance counts only once it is handed out.
    pub(super) fn without_left(&self, counted: &[Counted], standings: Vec<Standing>) -> Vec<Standing> {
        let now = self.now();
        let left = |it| self.0.blocks.left(it, now);
        counted.iter().zip(standings).map(|(it, standing)| standing.without(left(it))).collect()
    }
}
