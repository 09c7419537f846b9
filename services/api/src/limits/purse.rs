//! The budgets of one who spends, by what is kept, what is known, and what has ended meanwhile.

use domain::Timestamp;
use domain::limit::{Amount, Balance, Budget, End, Good, Known, Spender, Spending};
use projections::usage::Payer;
use serde::Serialize;
use store::limits::States;

use super::budgets::Asks;
use crate::money::{Dollars, Quantity};
use crate::time::Time;

/// The budgets of a user or of a key, and what is known of their spending.
#[derive(Debug, Clone)]
pub(super) struct Purse {
    pub(super) spender: Spender,
    pub(super) payer: Payer,
    pub(super) budgets: Vec<Budget>,
    /// As it is kept.
    pub(super) spending: Spending,
    pub(super) known: Known,
    pub(super) ends: Vec<End>,
}

/// A budget that has no room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub(crate) name: String,
    pub(crate) limit: Quantity,
    pub(crate) used: Quantity,
    pub(crate) retry_after: u32,
    pub(super) key: String,
    pub(super) at: Timestamp,
}

/// A budget as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct BudgetShown {
    name: String,
    limit: Quantity,
    spent: Quantity,
    reserved: Quantity,
    remaining: Quantity,
    resets_at: Time,
}

/// When to come again where only replies that are being made stand in the way.
const A_REPLY_SECONDS: u32 = 5;

pub(super) fn keys(purses: &[Purse]) -> Vec<String> {
    purses.iter().map(Purse::key).collect()
}

pub(super) fn keep(states: &mut States<'_>, place: usize, spending: Spending) {
    let end = spending.expires_at();
    states.keep(place, spending, end);
}

/// Under which keys that is new: what came before has reserved already.
pub(super) fn reserve(states: &mut States<'_>, purses: &[Purse], asks: Asks) -> Result<Vec<String>, Exceeded> {
    let (now, mut reserved) = (states.now(), Vec::with_capacity(purses.len()));
    for (place, purse) in purses.iter().enumerate() {
        reserved.push((purse, purse.reserved(&states.get(place), asks, now)?));
    }
    let mut new = Vec::new();
    for (place, (purse, (spending, is_new))) in reserved.into_iter().enumerate() {
        keep(states, place, spending);
        new.extend(is_new.then(|| purse.key()));
    }
    Ok(new)
}

impl Purse {
    fn key(&self) -> String {
        match self.payer {
            Payer::User(user) => format!("budget of user {user}"),
            Payer::Key(key) => format!("budget of key {key}"),
        }
    }

    /// With what is known of it.
    pub(super) fn told(&self, spending: &Spending, now: Timestamp) -> Spending {
        let mut spending = spending.clone();
        spending.learn(self.known, &self.ends, now);
        spending
    }

    pub(super) fn reserved(
        &self,
        spending: &Spending,
        asks: Asks,
        now: Timestamp,
    ) -> Result<(Spending, bool), Exceeded> {
        let mut spending = self.told(spending, now);
        let reserved = spending.reserve(asks.reply, asks.amount, &self.budgets, now);
        let is_new = reserved.map_err(|balance| self.exceeded(balance, asks.amount, now))?;
        Ok((spending, is_new))
    }

    pub(super) fn shown(&self) -> Vec<BudgetShown> {
        let shown = |budget: &Budget| {
            let balance = self.spending.balance(*budget);
            let quantity = |number| quantity(budget.of, number);
            BudgetShown {
                name: budget.name(self.spender),
                limit: quantity(budget.most),
                spent: quantity(balance.spent),
                reserved: quantity(balance.reserved),
                remaining: quantity(balance.remaining()),
                resets_at: Time(balance.resets_at),
            }
        };
        self.budgets.iter().map(shown).collect()
    }

    fn exceeded(&self, balance: Balance, amount: Amount, at: Timestamp) -> Exceeded {
        let Balance { budget, resets_at, .. } = balance;
        let name = budget.name(self.spender);
        let until_reset = at.seconds_until(resets_at);
        Exceeded {
            key: format!("{name} of {}", self.key()),
            name,
            limit: quantity(budget.of, budget.most),
            used: quantity(budget.of, balance.used()),
            retry_after: if balance.waits_for_replies(amount) { A_REPLY_SECONDS.min(until_reset) } else { until_reset },
            at,
        }
    }
}

fn quantity(of: Good, number: u64) -> Quantity {
    match of {
        Good::Tokens => Quantity::Count(number),
        Good::Cost => Quantity::Money(Dollars(i64::try_from(number).unwrap_or(i64::MAX))),
    }
}
