//! Laws of the refresh token, on random walks: an honest owner is never signed out, and a thief's use ends the sign-in.

#![expect(clippy::unwrap_used, reason = "a test may fail in its helpers too")]

#[path = "refresh/server.rs"]
mod server;
#[path = "refresh/walk.rs"]
mod walk;

use domain::token::family::Lifetime;
use proptest::collection::vec;
use proptest::prelude::*;
use server::Rules;
use walk::Walk;

type Step<T = ()> = Result<T, TestCaseError>;

/// What happens next.
#[derive(Debug, Clone)]
pub enum Action {
    /// So many microseconds.
    Wait(i64),
    /// The owner refreshes; the answer may be lost.
    Send {
        lost: bool,
    },
    /// The server goes on with one of the requests.
    Advance(usize),
    /// One of the requests ends where it is: a node died.
    Abandon(usize),
    /// The server answers all requests.
    Finish,
    /// The owner uses the newest access token, or one before it.
    Use(usize),
    LogOut,
    ChangePassword {
        here: bool,
    },
    Steal(usize),
    ThiefSends {
        lost: bool,
    },
    ThiefUses(usize),
    /// Somebody shows what never was a token.
    Garbage,
    Sweep,
}

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn rules() -> impl Strategy<Value = Rules> {
    let seconds = (
        prop_oneof![3 => Just(7 * DAY), 1 => HOUR..3 * DAY],
        prop_oneof![3 => Just(30 * DAY), 1 => HOUR..9 * DAY],
        prop_oneof![2 => Just(10u32), 1 => Just(0), 1 => Just(60)],
    );
    seconds.prop_map(|(idle, most, leeway)| {
        let [idle_seconds, most_seconds] = [idle, most].map(|seconds| u32::try_from(seconds).unwrap());
        Rules { lifetime: Lifetime { idle_seconds, most_seconds }, leeway }
    })
}

/// Much around the leeways and around the day after which a lost answer is lost.
fn wait() -> impl Strategy<Value = Action> {
    let around = |seconds: i64| (seconds * 1_000_000 - 1)..=(seconds * 1_000_000 + 1);
    let seconds = |range: std::ops::Range<i64>| range.prop_map(|seconds| seconds * 1_000_000);
    prop_oneof![
        3 => seconds(0..12),
        1 => around(10),
        1 => around(60),
        2 => seconds(60..1_000),
        2 => seconds(HOUR..DAY),
        1 => around(DAY),
        1 => seconds(DAY..4 * DAY),
    ]
    .prop_map(Action::Wait)
}

fn honest() -> impl Strategy<Value = Action> {
    prop_oneof![
        20 => wait(),
        20 => prop::bool::weighted(0.3).prop_map(|lost| Action::Send { lost }),
        24 => any::<usize>().prop_map(Action::Advance),
        2 => any::<usize>().prop_map(Action::Abandon),
        8 => Just(Action::Finish),
        12 => (0..2usize).prop_map(Action::Use),
        1 => Just(Action::ChangePassword { here: true }),
        1 => Just(Action::Garbage),
        3 => Just(Action::Sweep),
    ]
}

/// What an owner does at the end, or somebody else to them.
fn ending() -> impl Strategy<Value = Action> {
    prop_oneof![Just(Action::LogOut), Just(Action::ChangePassword { here: false })]
}

fn anybody() -> impl Strategy<Value = Action> {
    prop_oneof![
        30 => honest(),
        3 => (0..3usize).prop_map(Action::Steal),
        8 => prop::bool::weighted(0.2).prop_map(|lost| Action::ThiefSends { lost }),
        5 => (0..2usize).prop_map(Action::ThiefUses),
    ]
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() }
}

fn walk(rules: Rules, actions: &[Action]) -> Step<Walk> {
    let mut walk = Walk::new(rules);
    actions.iter().try_for_each(|action| walk.take(action))?;
    walk.finish()?;
    Ok(walk)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_honest_owner_is_never_signed_out(rules in rules(), actions in vec(honest(), 0..60)) {
        walk(rules, &actions)?;
    }

    #[test]
    fn who_is_signed_out_stays_so(
        rules in rules(), before in vec(honest(), 0..20), end in ending(), after in vec(honest(), 0..20),
    ) {
        walk(rules, &[before, vec![end], after].concat())?;
    }

    #[test]
    fn a_thiefs_use_ends_the_sign_in(rules in rules(), actions in vec(anybody(), 0..80)) {
        walk(rules, &actions)?;
    }

    #[test]
    fn two_who_go_on_from_one_token_are_found_out(
        rules in rules(), before in vec(honest(), 0..20), thief_first: bool, after in vec(anybody(), 0..20),
    ) {
        let thiefs = [Action::ThiefSends { lost: false }, Action::Finish, Action::ThiefUses(0)];
        let owners = [Action::Send { lost: false }, Action::Finish, Action::Use(0)];
        let (first, second) = if thief_first { (thiefs, owners) } else { (owners, thiefs) };
        let long = Action::Wait((i64::from(rules.leeway) + 1) * 1_000_000);
        let [steal, finish] = [vec![Action::Steal(0)], vec![Action::Finish]];
        let whole = [before.clone(), finish.clone(), steal.clone(), first.to_vec(), vec![long], second.to_vec()].concat();
        let could = walk(rules, &[before, finish, steal, first.to_vec()].concat())?.has_gone_on();
        let now = walk(rules, &whole)?;
        prop_assert!(!could || now.is_over(), "both go on");
        walk(rules, &[whole, after].concat())?;
    }
}
