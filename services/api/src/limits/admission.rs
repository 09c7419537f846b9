//! Lets somebody in: by the places that this node has at hand, else by a decision of all nodes, else by this one alone.

use domain::Timestamp;
use domain::limit::Window;
use domain::token::notice::LimitKind;
use store::StoreError;
use store::limits::States;

use super::windows::{Admitted, Counted, Declined, Refused, Said, Seeds, Standing, decide, keys};
use super::{RateLimits, shown};
use crate::metrics;

/// A request that was admitted: the places that it takes, each with the moment when it was taken.
#[derive(Debug, Default)]
pub(crate) struct Charge(Vec<(Counted, Timestamp)>);

impl RateLimits {
    pub(super) async fn admit(&self, counted: Vec<Counted>) -> Result<Charge, Refused> {
        let now = self.0.clock.now();
        let (mut charge, mut standings, mut open) = (Charge::default(), Vec::new(), Vec::new());
        for it in &counted {
            if let Some(standing) = self.0.blocks.admit(it, now) {
                standings.push(standing);
                charge.0.push((it.clone(), now));
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
        self.free(places).await;
    }

    async fn free(&self, mut places: Vec<(Counted, Timestamp)>) {
        places.retain(|(it, at)| !self.0.blocks.withdraw(it, *at));
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
    /// advance are there for others. What this node decides alone is nowhere to be taken back from.
    async fn decide(&self, open: Vec<Counted>) -> Result<(Charge, Vec<Standing>), Declined> {
        if open.is_empty() {
            return Ok(<_>::default());
        }
        let (limits, asked) = (self.clone(), open.clone());
        let decided = tokio::spawn(async move { limits.decide_with_all(&asked).await });
        let (clock, local) = (&self.0.clock, &self.0.local);
        match decided.await {
            Ok(Ok(Some(said))) => {
                local.is_not_needed();
                let Admitted { at, standings, .. } = said?;
                return Ok((Charge(open.into_iter().map(|it| (it, at)).collect()), standings));
            }
            Ok(Err(error)) => tracing::debug!(cause = store::in_full(&error), "a limit is decided by this node alone"),
            Ok(Ok(None)) | Err(_) => tracing::debug!("a limit is decided by this node alone"),
        }
        let Admitted { standings, .. } = local.decide(&open, clock.now())?;
        Ok((Charge::default(), standings))
    }

    /// `None` where windows were lost again while they were made again.
    async fn decide_with_all(&self, counted: &[Counted]) -> Result<Option<Said>, StoreError> {
        let blocks = &self.0.blocks;
        let now = self.0.clock.now();
        let left_over: Vec<_> = counted.iter().map(|it| blocks.over(&it.key, now)).collect();
        let all = counted.to_vec();
        let said =
            match self.0.limits.decide(keys(counted), move |states| decide(states, &all, &left_over, None)).await? {
                Some(said) => Some(said),
                None => self.decide_again(counted, self.seeds(counted).await?).await?,
            };
        if let Some(Ok(Admitted { at, taken, .. })) = &said {
            for (it, block) in counted.iter().zip(taken).filter_map(|(it, block)| Some((it, block.clone()?))) {
                blocks.put(&it.key, block, *at);
            }
        }
        Ok(said.map(|said| self.as_seen_here(counted, said)))
    }

    /// Windows that were lost have nothing that could be given back.
    async fn decide_again(&self, counted: &[Counted], seeds: Seeds) -> Result<Option<Said>, StoreError> {
        let all = counted.to_vec();
        self.0.limits.decide(keys(counted), move |states| decide(states, &all, &[], Some(&seeds))).await
    }

    fn as_seen_here(&self, counted: &[Counted], said: Said) -> Said {
        match said {
            Ok(it) => Ok(Admitted { standings: self.without_left(counted, it.standings), ..it }),
            Err(it) => Err(Declined { standings: self.without_left(counted, it.standings), ..it }),
        }
    }

    /// What was taken in advance counts only once it is handed out.
    pub(super) fn without_left(&self, counted: &[Counted], standings: Vec<Standing>) -> Vec<Standing> {
        let now = self.0.clock.now();
        let left = |it| self.0.blocks.left(it, now);
        counted.iter().zip(standings).map(|(it, standing)| standing.without(left(it))).collect()
    }
}
