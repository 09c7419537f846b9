//! A question as SQL, whose cost is that of the rows that it gives, however long the log is.

use std::collections::BTreeSet;

use domain::Timestamp;
use uuid::Uuid;

use super::span::Span;
use super::{Filter, Kind};

#[derive(Debug, Clone)]
pub(super) enum Value {
    Int(i64),
    Text(String),
    Uuid(Uuid),
}

/// The conditions that are asked for, and no others: each way of asking has its own plan.
#[derive(Debug, Default)]
pub(super) struct Statement {
    conditions: Vec<String>,
    /// Of these one must hold. Each is looked up on its own, as one index gives no order over several kinds.
    any: Vec<String>,
    pub(super) values: Vec<Value>,
}

impl Statement {
    pub(super) fn of(filter: &Filter, span: Span) -> Self {
        let mut wanted = Self::default();
        if let Some(user) = filter.user {
            wanted.and("a.user_id = ", Value::Uuid(user.into()));
        }
        // One person's rows are few, and in order: no other index shall be taken for them.
        let text =
            |column: &str| if filter.user.is_some() { format!("(a.{column} || '')") } else { format!("a.{column}") };
        // Among kinds that are named, the outcome is told by the kind.
        if let Some(outcome) = filter.outcome.filter(|_| filter.user.is_some() || filter.kinds.is_empty()) {
            wanted.and(&format!("{} = ", text("outcome")), Value::Text(outcome.as_str().to_owned()));
        }
        wanted.done_from(filter, &text("ip"));
        wanted.lies_in(filter, span);
        if filter.user.is_some() {
            wanted.of_one_persons_kinds(&filter.kinds);
        } else {
            wanted.of_kinds(filter);
        }
        wanted
    }

    /// The statement, with one more value: how many rows there may be.
    pub(super) fn text(&mut self, direction: &str, most: i64) -> String {
        let most = self.placeholder(Value::Int(most));
        let order = format!("order by a.position {direction} limit {most}");
        let all = if self.conditions.is_empty() { "true".to_owned() } else { self.conditions.join(" and ") };
        let each = if self.any.is_empty() { &["true".to_owned()][..] } else { &self.any };
        let parts: Vec<_> = each
            .iter()
            .map(|one| format!("select * from (select * from activity a where {all} and {one} {order}) as part"))
            .collect();
        format!(
            "select a.position, a.at, a.kind, a.user_id, coalesce(u.username, u.email, u.name) as username, \
             a.token_id, a.actor, a.actor_session, a.actor_key, a.outcome, a.reason, a.ip, a.user_agent, \
             a.request_id, a.node \
             from ({}) as a left join known_users u on u.id = a.user_id {order}",
            parts.join(" union all ")
        )
    }

    fn done_from(&mut self, filter: &Filter, column: &str) {
        let Some(ip) = &filter.ip else { return };
        self.and(&format!("{column} = "), Value::Text(ip.clone()));
        if let Some(reader) = filter.reader {
            let reader = self.placeholder(Value::Uuid(reader.into()));
            self.conditions.push(format!("(a.actor is null or a.actor = {reader})"));
        }
    }

    /// Times are computed with, so that no index of them is taken: it would lose the order.
    fn lies_in(&mut self, filter: &Filter, span: Span) {
        let bounds = [
            ("a.position > ", span.after),
            ("a.position <= ", span.upto),
            ("(a.at + 0) >= ", filter.since.map(Timestamp::as_micros)),
            ("(a.at + 0) < ", filter.until.map(Timestamp::as_micros)),
        ];
        for (condition, bound) in bounds {
            if let Some(bound) = bound {
                self.and(condition, Value::Int(bound));
            }
        }
    }

    fn of_one_persons_kinds(&mut self, kinds: &[Kind]) {
        let placeholders: Vec<_> = kinds.iter().map(|kind| self.kind(*kind)).collect();
        if !placeholders.is_empty() {
            self.conditions.push(format!("(a.kind || '') in ({})", placeholders.join(", ")));
        }
    }

    fn of_kinds(&mut self, filter: &Filter) {
        let ends_so = |kind: &Kind| filter.outcome.is_none_or(|outcome| kind.outcome() == outcome);
        // Who names a kind twice wants its rows once.
        let kinds: BTreeSet<Kind> = filter.kinds.iter().copied().filter(ends_so).collect();
        if kinds.is_empty() && !filter.kinds.is_empty() {
            self.any.push("false".to_owned());
        }
        for kind in kinds {
            let kind = self.kind(kind);
            self.any.push(format!("a.kind = {kind}"));
        }
    }

    fn and(&mut self, condition: &str, value: Value) {
        let placeholder = self.placeholder(value);
        self.conditions.push(format!("{condition}{placeholder}"));
    }

    fn kind(&mut self, kind: Kind) -> String {
        self.placeholder(Value::Text(kind.as_str().to_owned()))
    }

    fn placeholder(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }
}
