//! What may be spent: reserved before a model is asked, and then counted as what it took.
//!
//! What is spent, the read model `usage` knows, up to a position. Beside the windows is kept what is reserved, for which reply;
//! whether that has ended, and with what, the log says. So whoever writes a reply's end need not know of budgets, and what is
//! kept here may be lost.

use std::collections::BTreeSet;

use domain::Event;
use domain::chat::message::{Message, MessageEvent};
use domain::chat::reply::Asked;
use domain::ids::{ApiKeyId, MessageId, UserId};
use domain::limit::{Amount, Budget, End, Known, LAPSE_SECONDS, Rate, Spender, Spending, Unit, day_of};
use domain::token::notice::LimitKind;
use domain::values::MaxTokens;
use futures::{StreamExt, TryStreamExt, stream};
use projections::usage::{self, Payer};
use replies::Providers;
use store::limits::States;
use store::{Position, Recorded, StoreError};

use super::purse::{BudgetShown, Exceeded, Purse, keep, keys, reserve};
use super::{PATIENCE, Parts, RateLimits, Sample};
use crate::metrics;

/// What each may spend; of whom nothing is said may spend as they like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Budgets {
    pub user: Vec<Budget>,
    pub key: Vec<Budget>,
}

/// Who asks for a reply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    pub(crate) user: UserId,
    pub(crate) key: Option<ApiKeyId>,
}

/// A model is to be asked for a reply, or for something else under an id of its own, which will take about so much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asks {
    pub(crate) reply: MessageId,
    pub(crate) amount: Amount,
}

/// What a reply is to be paid from; of nothing, where nobody asks a model, or there are no budgets.
#[derive(Debug)]
pub(crate) struct Funds(Option<(Asks, Vec<Purse>)>);

/// What was reserved for a reply, and where.
#[derive(Debug)]
pub(crate) struct Reserved(Option<(MessageId, Vec<String>)>);

/// As many tokens as a reply is taken to have where nobody says how many.
const USUAL_TOKENS: u32 = 1_000;
/// For how many replies it is looked up at once whether they have ended.
const AT_ONCE: usize = 8;
/// How often the log hears of a budget.
const A_DAY: Rate = Rate { most: std::num::NonZeroU32::MIN, unit: Unit::Day };

impl Asks {
    /// What it is told and the longest answer come to, and what that costs where the model has a price.
    pub(crate) fn of(providers: &Providers, reply: MessageId, prompt: u32, asked: &Asked) -> Self {
        let completion = asked.max_tokens.map_or(USUAL_TOKENS, MaxTokens::get);
        let micros = providers.cost(&asked.model, prompt, completion).unwrap_or(0);
        Self { reply, amount: Amount { tokens: u64::from(prompt) + u64::from(completion), micros } }
    }
}

impl Reserved {
    /// For which reply something is.
    pub(crate) fn reply(&self) -> Option<MessageId> {
        self.0.as_ref().map(|(reply, _)| *reply)
    }
}

impl RateLimits {
    /// Whether anybody has a budget.
    pub(crate) fn have_budgets(&self) -> bool {
        let Budgets { user, key } = &self.0.rates.budgets;
        !user.is_empty() || !key.is_empty()
    }

    /// How somebody's budgets stand now.
    pub(crate) async fn balances(&self, asker: Asker) -> Result<Vec<BudgetShown>, StoreError> {
        Ok(self.purses(asker).await?.iter().flat_map(Purse::shown).collect())
    }

    /// What a reply is to be paid from, or which budget has no room for it.
    pub(crate) async fn funds(&self, asker: Asker, asks: Option<Asks>) -> Result<Result<Funds, Exceeded>, StoreError> {
        let Some(asks) = asks.filter(|_| self.have_budgets()) else { return Ok(Ok(Funds(None))) };
        let (purses, now) = (self.purses(asker).await?, self.now());
        let exceeded = purses.iter().find_map(|purse| purse.reserved(&purse.spending, asks, now).err());
        Ok(exceeded.map_or_else(|| Ok(Funds(Some((asks, purses)))), Err))
    }

    /// Reserves in all of the budgets, or in none. Where that can't be kept, what is spent counts alone.
    pub(crate) async fn reserve(&self, Funds(funds): Funds) -> Result<Reserved, Exceeded> {
        let Some((asks, purses)) = funds.filter(|(_, purses)| !purses.is_empty()) else { return Ok(Reserved(None)) };
        let reserved = self.0.limits.decide(keys(&purses), move |states| reserve(states, &purses, asks)).await;
        match reserved {
            Ok(keys) => {
                let keys = keys?;
                metrics::limited(LimitKind::Budget, true);
                Ok(Reserved(Some((asks.reply, keys))))
            }
            Err(error) => {
                tracing::warn!(cause = store::in_full(&error), "nothing can be reserved");
                Ok(Reserved(None))
            }
        }
    }

    /// Whether a refusal is to be noted in the log.
    pub(crate) fn sample_budget(&self, exceeded: &Exceeded) -> Option<Sample> {
        self.0.samples.take(LimitKind::Budget, &exceeded.key, A_DAY, exceeded.at)
    }

    /// Nobody makes that reply.
    pub(crate) async fn give_back(&self, reserved: Reserved) {
        self.change(reserved, |reply, spending| spending.withdraw(reply)).await;
    }

    /// What it was reserved for took so much, as stands in the log there: nobody has to look for it.
    pub(crate) async fn settle(&self, reserved: Reserved, position: Position, took: Amount) {
        let (now, position) = (self.now(), position.get());
        let day = day_of(now);
        let settle = move |reply, spending: &mut Spending| {
            spending.learn(Known::default(), &[End { reply, position, day, took }], now);
        };
        self.change(reserved, settle).await;
    }

    async fn change(&self, Reserved(reserved): Reserved, change: impl Fn(MessageId, &mut Spending) + Send + 'static) {
        let Some((reply, keys)) = reserved.filter(|(_, keys)| !keys.is_empty()) else { return };
        let places = 0..keys.len();
        let rule = move |states: &mut States<'_>| {
            for place in places.clone() {
                if states.is_there(place) {
                    let mut spending: Spending = states.get(place);
                    change(reply, &mut spending);
                    keep(states, place, spending);
                }
            }
        };
        if let Err(error) = self.0.limits.decide(keys, rule).await {
            tracing::warn!(cause = store::in_full(&error), "what is reserved counts until it lapses");
        }
    }

    /// Whose budgets a reply counts for, with the latest news of them.
    async fn purses(&self, Asker { user, key }: Asker) -> Result<Vec<Purse>, StoreError> {
        let Budgets { user: of_user, key: of_key } = &self.0.rates.budgets;
        let purse = |spender, payer, budgets: &Vec<Budget>| {
            let (budgets, spending, known) = (budgets.clone(), Spending::default(), Known::default());
            let purse = Purse { spender, payer, budgets, spending, known, ends: Vec::new() };
            (!purse.budgets.is_empty()).then_some(purse)
        };
        let user = purse(Spender::User, Payer::User(user), of_user);
        let key = key.and_then(|key| purse(Spender::Key, Payer::Key(key), of_key));
        let mut purses: Vec<Purse> = user.into_iter().chain(key).collect();
        if !purses.is_empty() {
            self.learn(&mut purses).await?;
        }
        Ok(purses)
    }

    /// First up to where spending is known, and then what has ended: so what is known to be spent is known to have ended.
    async fn learn(&self, purses: &mut [Purse]) -> Result<(), StoreError> {
        let Parts { limits, log, usage, .. } = &*self.0;
        let keys = keys(purses);
        let look = |states: &mut States<'_>| {
            let lapsed = states.now().plus_seconds(-LAPSE_SECONDS);
            for (place, purse) in purses.iter_mut().enumerate() {
                purse.spending = states.get(place);
            }
            (0..keys.len()).any(|place| states.may_be_lost(place, lapsed))
        };
        let is_lost = limits.look(&keys, look).await.unwrap_or_else(|error| {
            tracing::debug!(cause = store::in_full(&error), "what is reserved is not known");
            true
        });
        if is_lost && !usage.wait_for(log.head().await?, PATIENCE).await? {
            tracing::warn!("budgets are made again of what is known of them: the read model usage lags behind");
        }
        for purse in purses.iter_mut() {
            purse.known = usage::known(usage.db(), purse.payer, self.now()).await?;
        }
        let open: BTreeSet<MessageId> = purses.iter().flat_map(|purse| purse.spending.open()).collect();
        let ends = stream::iter(open).map(|reply| self.end_of(reply)).buffer_unordered(AT_ONCE);
        let ends: Vec<Option<End>> = ends.try_collect().await?;
        for purse in purses {
            purse.ends = ends.iter().copied().flatten().collect();
            purse.spending = purse.told(&purse.spending, self.now());
        }
        Ok(())
    }

    /// How a reply has ended, where it has.
    async fn end_of(&self, reply: MessageId) -> Result<Option<End>, StoreError> {
        for recorded in self.0.log.since_began::<Message>(reply).await? {
            let event = recorded.event().map_err(|_| StoreError::Corrupt("a reply can't be read".into()))?;
            if let Event::Message(_, event) = event
                && let Some(took) = took(&event)
            {
                let Recorded { position, recorded_at, .. } = *recorded;
                return Ok(Some(End { reply, position: position.get(), day: day_of(recorded_at), took }));
            }
        }
        Ok(None)
    }
}

/// What a reply took, where the event is its end.
fn took(event: &MessageEvent) -> Option<Amount> {
    // Of a reply that nobody awaits any more nothing is written down.
    if matches!(event, MessageEvent::MessageDeleted { .. }) {
        return Some(Amount::default());
    }
    let (_, said) = event.ending()?;
    let tokens = u64::from(said.usage.prompt_tokens) + u64::from(said.usage.completion_tokens);
    Some(Amount { tokens, micros: said.usage.cost_micros.unwrap_or(0) })
}
