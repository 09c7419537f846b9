//! The table: each measure's figure, what it must be, and the rounds that it comes from.

use std::fmt;
use std::fs;
use std::time::Duration;

/// What a figure must be, or what it should become.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

/// One line of the table.
pub struct Row {
    pub measure: String,
    pub value: f64,
    pub unit: &'static str,
    /// What the figure is made of.
    pub of: String,
    /// Where this does not hold, the benchmark fails.
    pub bound: Option<Limit>,
    /// Where this does not hold, the table says so.
    pub aim: Option<Limit>,
}

/// All that was measured.
pub struct Report {
    rows: Vec<Row>,
    rounds: Vec<String>,
    load_before: String,
}

impl Limit {
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {}{unit}", number(least)),
            Self::AtMost(most) => format!("≤ {}{unit}", number(most)),
        }
    }
}

impl Report {
    pub fn begin() -> Self {
        Self { rows: Vec::new(), rounds: Vec::new(), load_before: load_average() }
    }

    pub fn row(&mut self, row: Row) {
        eprintln!("{row}");
        self.rows.push(row);
    }

    /// Notes one thing's figures, round by round.
    pub fn rounds(&mut self, what: &str, figures: &[f64]) {
        let figures: Vec<_> = figures.iter().copied().map(number).collect();
        let line = format!("{what}: {}", figures.join(", "));
        eprintln!("{line}");
        self.rounds.push(line);
    }

    pub fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.bound.is_none_or(|bound| bound.holds(row.value)))
    }
}

impl Row {
    fn limits(&self) -> String {
        let bound = self.bound.map(|bound| bound.text(self.unit));
        let aim = self.aim.map(|aim| format!("aim {}", aim.text(self.unit)));
        bound.into_iter().chain(aim).collect::<Vec<_>>().join(", ")
    }

    fn verdict(&self) -> &'static str {
        let holds = |limit: Option<Limit>| limit.map(|limit| limit.holds(self.value));
        match (holds(self.bound), holds(self.aim)) {
            (Some(false), _) => "**NO**",
            (Some(true), Some(false)) => "yes, but not the aim",
            (None, Some(false)) => "not the aim",
            (Some(true), _) | (None, Some(true)) => "yes",
            (None, None) => "",
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { measure, unit, of, .. } = self;
        let (value, limits, verdict) = (number(self.value), self.limits(), self.verdict());
        write!(f, "| {measure} | **{value}{unit}** {of} | {limits} | {verdict} |")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n| measure | figure | bound | met? |\n|---|---|---|---|")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))?;
        writeln!(f, "\nMedians of rounds taken in turn. The machine's load was {} before and", self.load_before)?;
        writeln!(f, "{} after, on {} cores; clients and servers share them.", load_average(), cores())?;
        writeln!(f, "Servers log warnings alone, so that writing a line for each request is not measured.\n")?;
        writeln!(f, "The rounds:\n")?;
        self.rounds.iter().try_for_each(|line| writeln!(f, "* {line}"))
    }
}

/// The middle one of some figures.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    *sorted.get(sorted.len() / 2).expect("a figure")
}

/// The median of the rounds' ratios: what slows a round slows both of its sides.
pub fn ratio(over: &[f64], under: &[f64]) -> f64 {
    median(&over.iter().zip(under).map(|(over, under)| over / under).collect::<Vec<_>>())
}

/// The time that so many in a hundred stay below; `sorted` is.
pub fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    millis(*sorted.get(sorted.len() * percent / 100).expect("a measurement"))
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// As many digits as say something, in groups of three.
pub fn number(value: f64) -> String {
    let text = match value.abs() {
        small if small < 10.0 => format!("{value:.2}"),
        some if some < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    let whole = text.split('.').next().map_or(0, str::len);
    let group = |(at, digit): (usize, char)| {
        let comma = at > 0 && at < whole && (whole - at).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    };
    text.chars().enumerate().flat_map(group).collect()
}

fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
