//! Laws of the sliding window and of budgets, against a list of all that ever happened.

use domain::Timestamp;
use domain::ids::MessageId;
use domain::limit::{Amount, Block, Budget, End, Good, Known, Rate, Spending, Window};
use proptest::collection::vec;
use proptest::prelude::*;

/// A second in microseconds: the window.
const WINDOW: i64 = 1_000_000;

/// Many at once, many around the window's ends, some long after.
fn steps() -> impl Strategy<Value = Vec<i64>> {
    vec(prop_oneof![Just(0), 0..WINDOW / 3, WINDOW - 1..=WINDOW + 1, 0..9 * WINDOW], 0..200)
}

/// The most that lie in any window.
fn fullest(times: &[i64]) -> usize {
    let within = |start: i64| times.iter().filter(|time| (start..start + WINDOW).contains(time)).count();
    times.iter().map(|time| within(*time)).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_window_admits_exactly_while_there_are_fewer(steps in steps(), most in 1..6usize) {
        let (mut window, rate) = (Window::default(), format!("{most}/second").parse::<Rate>().unwrap());
        let (mut now, mut admitted) = (0, Vec::new());
        for step in steps {
            now += step;
            let before = admitted.iter().filter(|time| now - **time < WINDOW).count();
            prop_assert_eq!(window.used(Timestamp::from_micros(now), rate), before);
            match window.admit(Timestamp::from_micros(now), rate) {
                Ok(()) => {
                    prop_assert!(before < most);
                    admitted.push(now);
                }
                Err(until) => {
                    prop_assert_eq!(before, most);
                    let next = admitted.get(admitted.len() - most).unwrap() + WINDOW;
                    prop_assert_eq!(until.as_micros(), next);
                }
            }
        }
        prop_assert!(fullest(&admitted) <= most);
    }

    #[test]
    fn clocks_that_differ_a_little_admit_no_more(steps in vec((0..WINDOW, -2 * WINDOW..2 * WINDOW), 0..200), most in 1..6usize) {
        let (mut window, rate) = (Window::default(), format!("{most}/second").parse::<Rate>().unwrap());
        let (mut now, mut admitted) = (0, Vec::new());
        for (step, skew) in steps {
            now += step;
            if window.admit(Timestamp::from_micros(now + skew), rate).is_ok() {
                admitted.push(now + skew);
            }
        }
        prop_assert!(fullest(&admitted) <= most);
    }

    // What is counted together is counted as the last of it: never more, and a place is free again a hundredth late.
    #[test]
    fn a_window_of_more_than_a_thousand_is_as_exact_as_its_hundredth(steps in vec((0..WINDOW / 2, 1..900_usize), 0..40)) {
        const MOST: usize = 1_500;
        let (mut window, rate) = (Window::default(), format!("{MOST}/second").parse::<Rate>().unwrap());
        let (mut now, mut admitted) = (0, Vec::<i64>::new());
        for (step, wanted) in steps {
            now += step;
            for _ in 0..wanted {
                let within = |span: i64| admitted.len() - admitted.partition_point(|time| now - *time >= span);
                match window.admit(Timestamp::from_micros(now), rate) {
                    Ok(()) => {
                        prop_assert!(within(WINDOW) < MOST);
                        admitted.push(now);
                    }
                    Err(until) => {
                        prop_assert!(within(WINDOW + WINDOW / 100) >= MOST);
                        prop_assert!(until.as_micros() > now && until.as_micros() < now + WINDOW + WINDOW / 100);
                    }
                }
            }
        }
    }

    // Nodes that hand out blocks by themselves: together never more, and none is refused while there is room but for four
    // hundredths and what nodes took in advance.
    #[test]
    fn blocks_of_several_nodes_are_never_more_than_the_window(steps in vec((0..3_usize, 0..WINDOW / 4, 1..700_usize), 0..60)) {
        const MOST: usize = 1_500;
        let rate = format!("{MOST}/second").parse::<Rate>().unwrap();
        let (mut window, mut blocks) = (Window::default(), [const { Vec::<Block>::new() }; 3]);
        let (mut now, mut admitted) = (0, Vec::<i64>::new());
        for (node, step, wanted) in steps {
            now += step;
            let blocks = blocks.get_mut(node).unwrap();
            for _ in 0..wanted {
                let within = |span: i64| admitted.len() - admitted.partition_point(|time| now - *time >= span);
                let before = within(WINDOW);
                if admitted_by_one(&mut window, blocks, Timestamp::from_micros(now), rate) {
                    prop_assert!(before < MOST);
                    admitted.push(now);
                } else {
                    prop_assert!(within(WINDOW + WINDOW / 25) >= MOST - 2 * (MOST / 50 + MOST / 500));
                }
            }
        }
    }

    #[test]
    fn a_window_is_kept_to_the_last_bit(steps in steps(), most in 1..6usize) {
        let (mut window, rate) = (Window::default(), format!("{most}/second").parse::<Rate>().unwrap());
        let mut now = 1_700_000_000_000_000;
        for step in steps {
            now += step;
            let _ = window.admit(Timestamp::from_micros(now), rate);
            let kept = serde_json::to_string(&window).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Window>(&kept).unwrap(), &window);
        }
    }
}

/// As a node does it: by what is at hand, else by a decision of all.
fn admitted_by_one(window: &mut Window, blocks: &mut Vec<Block>, now: Timestamp, rate: Rate) -> bool {
    if blocks.iter_mut().any(|block| block.admit(now, rate)) {
        return true;
    }
    for over in blocks.extract_if(.., |block| !block.lasts(now)) {
        window.give_back(&over);
    }
    if let Some(mut taken) = window.take(now, rate) {
        let is_admitted = taken.admit(now, rate);
        blocks.push(taken);
        return is_admitted;
    }
    window.admit(now, rate).is_ok()
}

/// What may happen to somebody's budget.
#[derive(Debug, Clone)]
enum Step {
    /// A reply is asked for, which may take so much.
    Ask(u64),
    /// One of those that are being made ends, with what it took.
    End(usize, u64),
    /// One of them comes to nothing.
    Withdraw(usize),
    /// Somebody hears how much was spent up to a part of the log, and which replies had ended up to a later one.
    Learn(u8, u8),
}

fn steps_of_spending() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1..400_u64).prop_map(Step::Ask),
        2 => (0..9_usize, 0..500_u64).prop_map(|(which, took)| Step::End(which, took)),
        1 => (0..9_usize).prop_map(Step::Withdraw),
        3 => (0..=100_u8, 0..=100_u8).prop_map(|(sums, ends)| Step::Learn(sums, ends)),
    ];
    vec(step, 0..120)
}

/// What is so, whoever knows of it.
#[derive(Default)]
struct Truth {
    /// Replies for which something is reserved, and how much.
    open: Vec<(MessageId, u64)>,
    /// The log: each reply that ended, what was reserved for it, and what it took.
    ended: Vec<(MessageId, u64, u64)>,
    /// Of how many ends somebody has heard.
    heard: usize,
}

impl Truth {
    /// What is spent and reserved as far as anybody can know.
    fn counted(&self) -> (u64, u64) {
        let spent = self.ended.iter().take(self.heard).map(|(.., took)| took).sum();
        let unheard: u64 = self.ended.iter().skip(self.heard).map(|(_, reserved, _)| reserved).sum();
        (spent, unheard + self.open.iter().map(|(_, reserved)| reserved).sum::<u64>())
    }

    /// The news of two parts of the log, in hundredths of it.
    fn news(&mut self, sums: u8, ends: u8) -> (Known, Vec<End>) {
        let part = |hundredths: u8| self.ended.len() * usize::from(hundredths) / 100;
        let (sums, ends) = (part(sums), part(sums.max(ends)));
        self.heard = self.heard.max(ends);
        let spent = tokens(self.ended.iter().take(sums).map(|(.., took)| took).sum());
        let known = Known { day: 0, position: position(sums), today: spent, this_month: spent };
        let end = |(place, (reply, _, took)): (usize, &(MessageId, u64, u64))| End {
            reply: *reply,
            position: position(place + 1),
            day: 0,
            took: tokens(*took),
        };
        (known, self.ended.iter().take(ends).enumerate().map(end).collect())
    }
}

fn position(events: usize) -> i64 {
    i64::try_from(events).unwrap_or(i64::MAX)
}

fn tokens(tokens: u64) -> Amount {
    Amount { tokens, micros: 0 }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_budget_counts_each_reply_once_however_late_its_end_is_heard_of(steps in steps_of_spending()) {
        const MOST: u64 = 1_000;
        let (budgets, now) = (Budget::read("1000/day", Good::Tokens).unwrap(), Timestamp::from_micros(1));
        let budget = *budgets.first().unwrap();
        let (mut spending, mut truth, mut asked) = (Spending::default(), Truth::default(), 0);
        for step in steps {
            match step {
                Step::Ask(most) => {
                    asked += 1;
                    let reply = uuid::Uuid::from_u128(asked).into();
                    let (spent, reserved) = truth.counted();
                    let is_admitted = spending.reserve(reply, tokens(most), &budgets, now).is_ok();
                    prop_assert_eq!(is_admitted, spent + reserved + most <= MOST);
                    if is_admitted {
                        truth.open.push((reply, most));
                    }
                }
                Step::End(which, took) if which < truth.open.len() => {
                    let (reply, reserved) = truth.open.remove(which);
                    truth.ended.push((reply, reserved, took));
                }
                Step::Withdraw(which) if which < truth.open.len() => spending.withdraw(truth.open.remove(which).0),
                Step::End(..) | Step::Withdraw(_) => {}
                Step::Learn(sums, ends) => {
                    let (known, ends) = truth.news(sums, ends);
                    spending.learn(known, &ends, now);
                }
            }
            let balance = spending.balance(budget);
            prop_assert_eq!((balance.spent, balance.reserved), truth.counted());
        }
    }
}
