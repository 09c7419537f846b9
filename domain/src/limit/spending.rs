//! What somebody spends: what is known to be spent, and what is reserved for replies that are being made.
//!
//! What is known is summed elsewhere, from the log, and lags behind it. So a reservation ends in two steps: when its reply has
//! ended, what it took stands in its place; it goes when the sums have come to where the log says so. Nothing is left out
//! meanwhile, and nothing counts twice.

use serde::{Deserialize, Serialize};

use super::budget::{Amount, Budget, Period};
use crate::Timestamp;
use crate::ids::MessageId;

/// What is to be remembered of somebody's spending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    known: Known,
    held: Vec<Held>,
}

/// What the log is known to say, up to a position of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Which day it is, counted from 1970 on.
    pub day: i64,
    pub position: i64,
    pub today: Amount,
    pub this_month: Amount,
}

/// How a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub reply: MessageId,
    /// Where the log says so.
    pub position: i64,
    pub day: i64,
    pub took: Amount,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    reply: MessageId,
    amount: Amount,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    /// Until it lapses.
    Open(Timestamp),
    Ended {
        position: i64,
        day: i64,
    },
}

/// How a budget stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    pub budget: Budget,
    pub spent: u64,
    pub reserved: u64,
    /// When nothing of it will be spent.
    pub resets_at: Timestamp,
}

/// For so long something is reserved whose end nobody hears of.
pub const LAPSE_SECONDS: i64 = 20 * 60;

impl Spending {
    /// Takes in what the log says. Who comes with older news than are known changes nothing by them; `ends` are of no
    /// earlier moment than `known`.
    pub fn learn(&mut self, known: Known, ends: &[End], now: Timestamp) {
        if (known.day, known.position) >= (self.known.day, self.known.position) {
            self.known = known;
        }
        for held in &mut self.held {
            if let (Stage::Open(_), Some(end)) = (held.stage, ends.iter().find(|end| end.reply == held.reply)) {
                *held =
                    Held { amount: end.took, stage: Stage::Ended { position: end.position, day: end.day }, ..*held };
            }
        }
        let known = self.known.position;
        self.held.retain(|held| match held.stage {
            Stage::Open(until) => until > now,
            Stage::Ended { position, .. } => position > known,
        });
    }

    /// Reserves for a reply what it may take, or says which budget has no room for it. Whether that is new: for the same reply
    /// it is done once.
    pub fn reserve(
        &mut self,
        reply: MessageId,
        amount: Amount,
        budgets: &[Budget],
        now: Timestamp,
    ) -> Result<bool, Balance> {
        if self.held.iter().any(|held| held.reply == reply) {
            return Ok(false);
        }
        let balances = budgets.iter().map(|budget| self.balance(*budget));
        if let Some(exceeded) = balances.into_iter().find(|it| !it.has_room(amount)) {
            return Err(exceeded);
        }
        self.held.push(Held { reply, amount, stage: Stage::Open(now.plus_seconds(LAPSE_SECONDS)) });
        Ok(true)
    }

    /// Nobody makes that reply.
    pub fn withdraw(&mut self, reply: MessageId) {
        self.held.retain(|held| held.reply != reply || !matches!(held.stage, Stage::Open(_)));
    }

    /// The replies for which something is reserved.
    pub fn open(&self) -> impl Iterator<Item = MessageId> {
        self.held.iter().filter(|held| matches!(held.stage, Stage::Open(_))).map(|held| held.reply)
    }

    #[must_use]
    pub fn balance(&self, budget: Budget) -> Balance {
        let Known { day, today, this_month, .. } = self.known;
        let known = match budget.per {
            Period::Day => today,
            Period::Month => this_month,
        };
        let period = budget.per.first_day(day);
        let (mut spent, mut reserved) = (known.of(budget.of), 0_u64);
        for held in &self.held {
            let amount = held.amount.of(budget.of);
            match held.stage {
                Stage::Open(_) => reserved = reserved.saturating_add(amount),
                Stage::Ended { day, .. } if budget.per.first_day(day) == period => spent = spent.saturating_add(amount),
                Stage::Ended { .. } => {}
            }
        }
        Balance { budget, spent, reserved, resets_at: budget.per.ends_at(day) }
    }

    /// When it is as good as none.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        Period::Month.ends_at(self.known.day).plus_seconds(LAPSE_SECONDS)
    }
}

impl Balance {
    /// Whether so much more fits; what takes nothing always does.
    const fn has_room(self, amount: Amount) -> bool {
        let more = amount.of(self.budget.of);
        more == 0 || self.used().saturating_add(more) <= self.budget.most
    }
    #[must_use]
    pub const fn used(self) -> u64 {
        self.spent.saturating_add(self.reserved)
    }

    #[must_use]
    pub const fn remaining(self) -> u64 {
        self.budget.most.saturating_sub(self.used())
    }

    /// Whether it has room again as soon as the replies have ended that are being made, if they take little.
    #[must_use]
    pub const fn waits_for_replies(self, amount: Amount) -> bool {
        self.spent.saturating_add(amount.of(self.budget.of)) <= self.budget.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::budget::{Good, day_of};
    use crate::testing::{NOW, id};

    fn budgets(text: &str) -> Vec<Budget> {
        Budget::read(text, Good::Tokens).unwrap()
    }

    fn tokens(tokens: u64) -> Amount {
        Amount { tokens, micros: 0 }
    }

    fn known(position: i64, today: u64, this_month: u64) -> Known {
        Known { day: day_of(NOW), position, today: tokens(today), this_month: tokens(this_month) }
    }

    fn end(reply: u128, position: i64, took: u64) -> End {
        End { reply: id(reply), position, day: day_of(NOW), took: tokens(took) }
    }

    /// Spent and reserved of a day's budget.
    fn balance(spending: &Spending) -> (u64, u64) {
        let it = spending.balance(budgets("1000/day").remove(0));
        (it.spent, it.reserved)
    }

    fn after(known: Known) -> Spending {
        let mut spending = Spending::default();
        spending.learn(known, &[], NOW);
        spending
    }

    #[test]
    fn what_is_reserved_counts_until_it_is_known_what_it_took_and_then_that_once() {
        let mut spending = after(known(10, 100, 300));
        let all = budgets("1000/day, 5000/month");
        assert_eq!(spending.reserve(id(1), tokens(900), &all, NOW), Ok(true));
        assert_eq!(balance(&spending), (100, 900));
        let refused = spending.reserve(id(2), tokens(1), &all, NOW).unwrap_err();
        assert_eq!(
            (refused.budget, refused.spent, refused.reserved, refused.remaining()),
            (*all.first().unwrap(), 100, 900, 0)
        );
        assert!(refused.waits_for_replies(tokens(900)) && !refused.waits_for_replies(tokens(901)));
        // It has ended; what is summed elsewhere is not that far.
        spending.learn(known(11, 100, 300), &[end(1, 12, 50)], NOW);
        assert_eq!(balance(&spending), (150, 0));
        spending.learn(known(11, 100, 300), &[end(1, 12, 50)], NOW);
        assert_eq!(balance(&spending), (150, 0), "to hear of it twice counts once");
        spending.learn(known(12, 150, 350), &[end(1, 12, 50)], NOW);
        assert_eq!(balance(&spending), (150, 0));
        spending.learn(known(11, 100, 300), &[], NOW);
        assert_eq!(balance(&spending), (150, 0), "older news are no news");
        assert_eq!(spending.reserve(id(2), tokens(850), &all, NOW), Ok(true));
    }

    #[test]
    fn each_budget_counts_for_itself() {
        let all = budgets("1000/day, 1100/month");
        let mut spending = after(known(1, 0, 1_000));
        let refused = spending.reserve(id(1), tokens(101), &all, NOW).unwrap_err();
        assert_eq!((refused.budget, refused.spent), (*all.last().unwrap(), 1_000));
        // 2023-11-14, 22:13:20.
        assert_eq!(NOW.seconds_until(refused.resets_at), 16 * 86_400 + 6_400);
        assert_eq!(spending.reserve(id(1), tokens(100), &all, NOW), Ok(true));
        let of_cost = Budget::read("0.50/day", Good::Cost).unwrap();
        let dear = Amount { tokens: 1, micros: 500_001 };
        assert_eq!(
            spending.reserve(id(2), dear, &of_cost, NOW).unwrap_err().resets_at,
            Period::Day.ends_at(day_of(NOW))
        );
        assert_eq!(spending.reserve(id(2), Amount { micros: 500_000, ..dear }, &of_cost, NOW), Ok(true));
        assert_eq!(spending.reserve(id(3), tokens(1_000), &of_cost, NOW), Ok(true), "it has no price");
    }

    #[test]
    fn a_new_day_begins_with_what_is_reserved() {
        let mut spending = after(known(10, 900, 900));
        assert_eq!(spending.reserve(id(1), tokens(60), &[], NOW), Ok(true));
        assert_eq!(spending.reserve(id(2), tokens(40), &[], NOW), Ok(true));
        spending.learn(known(10, 900, 900), &[end(1, 11, 70)], NOW);
        let tomorrow = Known { day: day_of(NOW) + 1, position: 10, today: tokens(0), this_month: tokens(900) };
        spending.learn(tomorrow, &[], NOW.plus_seconds(60));
        assert_eq!(balance(&spending), (0, 40), "what ended yesterday was spent yesterday");
        assert_eq!(spending.balance(budgets("1000/month").remove(0)).spent, 970);
        spending.learn(known(99, 900, 900), &[], NOW);
        assert_eq!(balance(&spending), (0, 40), "a clock that is behind brings no yesterday back");
    }

    #[test]
    fn what_is_not_heard_of_lapses_and_what_is_withdrawn_is_gone() {
        let mut spending = after(known(1, 0, 0));
        assert_eq!(spending.reserve(id(1), tokens(1), &[], NOW), Ok(true));
        assert_eq!(spending.reserve(id(2), tokens(2), &[], NOW.plus_seconds(1)), Ok(true));
        assert_eq!(spending.reserve(id(2), tokens(9), &[], NOW), Ok(false), "the same reply");
        spending.learn(known(1, 0, 0), &[], NOW.plus_seconds(LAPSE_SECONDS));
        assert_eq!((balance(&spending), spending.open().collect::<Vec<_>>()), ((0, 2), vec![id(2)]));
        spending.withdraw(id(1));
        spending.withdraw(id(2));
        assert_eq!(balance(&spending), (0, 0));
        assert_eq!(spending.reserve(id(3), tokens(3), &[], NOW), Ok(true));
        spending.learn(known(1, 0, 0), &[end(3, 5, 4)], NOW);
        spending.withdraw(id(3));
        assert_eq!(balance(&spending), (4, 0), "it was made");
        assert_eq!(spending.reserve(id(3), tokens(3), &[], NOW), Ok(false));
    }

    #[test]
    fn it_is_kept_in_json() {
        let mut spending = after(known(7, 1, 2));
        assert_eq!(spending.reserve(id(1), tokens(5), &[], NOW), Ok(true));
        assert_eq!(spending.reserve(id(2), tokens(6), &[], NOW), Ok(true));
        spending.learn(known(7, 1, 2), &[end(2, 8, 1)], NOW);
        let kept = serde_json::to_string(&spending).unwrap();
        assert_eq!(serde_json::from_str::<Spending>(&kept).unwrap(), spending);
    }
}
