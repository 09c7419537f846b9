//! Rows on standard output: as a table for people, as JSON for programs.

use std::io::{self, ErrorKind, Write};

use api::activity::ActivityRow;
use projections::token_activity::Activity;

use super::unseen::{shown, shown_json};

/// Writes rows until nobody reads them any more.
#[derive(Debug)]
pub(super) struct Printer {
    form: Form,
    closed: bool,
}

#[derive(Debug)]
enum Form {
    Json,
    /// How wide each column is so far.
    Table([usize; COLUMNS]),
}

const COLUMNS: usize = 8;
const HEADER: [&str; COLUMNS] = ["TIME", "KIND", "USER", "OUTCOME", "REASON", "ADDRESS", "TOKEN", "USER AGENT"];
/// Most rows fit into these: so that columns stand still while more rows come.
const LEAST: [usize; COLUMNS] = [20, 19, 16, 10, 16, 15, 8, 0];
/// What is longer is cut.
const MOST: [usize; COLUMNS] = [20, 19, 32, 10, 48, 39, 8, 48];
const SHORT_ID: usize = 8;

impl Printer {
    pub(super) const fn new(json: bool) -> Self {
        Self { form: if json { Form::Json } else { Form::Table(LEAST) }, closed: false }
    }

    /// Whether whoever read this has gone, as `head` does.
    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn begin(&mut self) -> io::Result<()> {
        match &self.form {
            Form::Json => Ok(()),
            Form::Table(widths) => {
                let header = line(&HEADER.map(str::to_owned), widths);
                self.write(&header)
            }
        }
    }

    pub(super) fn print(&mut self, rows: Vec<Activity>) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let text = match &mut self.form {
            Form::Json => json(rows)?,
            Form::Table(widths) => table(&rows, widths),
        };
        self.write(&text)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        let mut output = io::stdout().lock();
        match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            written => written,
        }
    }
}

fn json(rows: Vec<Activity>) -> io::Result<String> {
    rows.into_iter().map(ActivityRow::from).try_fold(String::new(), |lines, row| {
        let row = serde_json::to_string(&row)?;
        Ok(lines + &shown_json(&row) + "\n")
    })
}

fn table(rows: &[Activity], widths: &mut [usize; COLUMNS]) -> String {
    let rows: Vec<_> = rows.iter().map(cells).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    rows.iter().map(|row| line(row, widths)).collect()
}

fn cells(row: &Activity) -> [String; COLUMNS] {
    let text = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), shown);
    let user = row.username.as_deref().map(shown).or_else(|| row.user.map(|id| id.to_string()));
    let mut cells = [
        api::activity::to_the_second(row.at),
        row.kind.as_str().to_owned(),
        user.unwrap_or_else(|| "-".to_owned()),
        row.outcome.as_str().to_owned(),
        text(&row.reason),
        text(&row.ip),
        row.token.map_or_else(|| "-".to_owned(), |id| short(&id.to_string())),
        text(&row.user_agent),
    ];
    for (cell, most) in cells.iter_mut().zip(MOST) {
        cut(cell, most);
    }
    cells
}

/// The end of an id: ids that were made at the same time begin alike.
fn short(id: &str) -> String {
    id.chars().skip(id.chars().count().saturating_sub(SHORT_ID)).collect()
}

fn cut(text: &mut String, most: usize) {
    if text.chars().count() > most {
        *text = text.chars().take(most.saturating_sub(1)).chain(['…']).collect();
    }
}

fn line(cells: &[String; COLUMNS], widths: &[usize; COLUMNS]) -> String {
    let padded: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    padded.join("  ").trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use projections::token_activity::{Kind, Outcome};
    use store::Position;

    use super::*;

    fn row(username: Option<&str>, user_agent: &str) -> Activity {
        Activity {
            position: Position::new(1),
            at: Timestamp::from_micros(1_767_225_600_999_999),
            kind: Kind::SignInFailed,
            user: None,
            username: username.map(str::to_owned),
            token: Some(uuid::Uuid::from_u128(0x0123_4567_89ab_cdef)),
            actor: None,
            actor_session: None,
            actor_key: None,
            outcome: Outcome::Refused,
            reason: Some("wrong_password".to_owned()),
            ip: Some("192.0.2.1".to_owned()),
            user_agent: Some(user_agent.to_owned()),
            request_id: "r".to_owned(),
            node: None,
        }
    }

    #[test]
    fn columns_stand_below_each_other_and_strangers_are_escaped() {
        let mut widths = LEAST;
        let rows = [row(Some("ann"), "curl\u{1b}[2J"), row(None, &"x".repeat(60))];
        let expected = format!(
            "2026-01-01T00:00:00Z  sign_in_failed       ann               refused     wrong_password    192.0.2.1        \
             89abcdef  curl\\u{{1b}}[2J\n\
             2026-01-01T00:00:00Z  sign_in_failed       -                 refused     wrong_password    192.0.2.1        \
             89abcdef  {}…\n",
            "x".repeat(47)
        );
        assert_eq!(table(&rows, &mut widths), expected);
    }

    #[test]
    fn a_column_widens_for_what_is_long_and_cuts_what_is_longer() {
        let mut widths = LEAST;
        table(&[row(Some(&"n".repeat(20)), "")], &mut widths);
        assert_eq!(widths[2], 20);
        let lines = table(&[row(Some(&"n".repeat(90)), "")], &mut widths);
        assert_eq!(widths[2], 32);
        assert!(lines.contains(&format!(" {}… ", "n".repeat(31))));
    }

    #[test]
    fn a_row_of_json_is_one_line() {
        let lines = json(vec![row(Some("two\nlines"), "\u{9b}"), row(None, "")]).unwrap();
        assert_eq!(lines.lines().count(), 2);
        assert!(lines.contains(r#""username":"two\nlines""#) && lines.contains(r#""user_agent":"\u009b""#), "{lines}");
    }
}
