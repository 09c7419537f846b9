//! How often, as it is configured.

use std::collections::{BTreeMap, BTreeSet};

use domain::limit::Rate;
use domain::values::Role;

use super::Budgets;

/// How often each may come; `None` is as often as they like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rates {
    /// All users together ask for a reply.
    pub service: Option<Rate>,
    /// A user asks for a reply.
    pub user: Option<Rate>,
    /// A user with a role does.
    pub of_role: BTreeMap<Role, Option<Rate>>,
    /// An address asks for anything.
    pub address: Option<Rate>,
    /// What models may be asked for.
    pub budgets: Budgets,
}

impl Rates {
    /// How often somebody may ask for a reply: what the most generous of their roles allows, where one says anything.
    pub(crate) fn of(&self, roles: &BTreeSet<Role>) -> Option<Rate> {
        let of_roles = roles.iter().filter_map(|role| self.of_role.get(role).copied());
        of_roles.reduce(more_generous).unwrap_or(self.user)
    }
}

fn more_generous(one: Option<Rate>, other: Option<Rate>) -> Option<Rate> {
    let (one, other) = (one?, other?);
    let in_a_day = |rate: Rate| rate.most() as u64 * u64::from(86_400 / rate.seconds().max(1));
    Some(if in_a_day(other) > in_a_day(one) { other } else { one })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Option<Rate> {
        (text != "off").then(|| text.parse().unwrap())
    }

    #[test]
    fn who_has_several_roles_has_the_most_generous_rate_of_them() {
        let rates = |admin: &'static str, auditor: &'static str| {
            let of_role = [(Role::Admin, admin), (Role::Auditor, auditor)];
            let of_role = of_role.into_iter().filter(|(_, text)| !text.is_empty());
            let of_role = of_role.map(|(role, text)| (role, rate(text))).collect();
            Rates { user: rate("10/minute"), of_role, ..Rates::default() }
        };
        for (admin, auditor, both) in [
            ("", "", "10/minute"),
            ("5/minute", "", "5/minute"),
            ("100/hour", "1/minute", "100/hour"),
            ("1/second", "59/minute", "1/second"),
            ("off", "59/minute", "off"),
        ] {
            let roles = [Role::Admin, Role::Auditor].into();
            assert_eq!(rates(admin, auditor).of(&roles), rate(both), "{admin}, {auditor}");
        }
        assert_eq!(rates("5/minute", "off").of(&BTreeSet::new()), rate("10/minute"));
    }
}
