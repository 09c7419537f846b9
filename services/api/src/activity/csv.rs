//! Rows as RFC 4180 has them, for spreadsheets that must not run what strangers wrote.

use super::ActivityRow;

/// Lines of comma-separated values, as they are written.
#[derive(Debug, Default)]
pub(crate) struct Csv(String);

impl Csv {
    pub(crate) fn header() -> Self {
        let mut lines = Self::default();
        lines.line(ActivityRow::FIELDS);
        lines
    }

    pub(crate) fn row(&mut self, row: ActivityRow) {
        self.line(row.into_texts());
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }

    fn line<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        for (number, cell) in cells.into_iter().enumerate() {
            if number > 0 {
                self.0.push(',');
            }
            self.cell(cell.as_ref());
        }
        self.0.push_str("\r\n");
    }

    fn cell(&mut self, text: &str) {
        // A spreadsheet takes these for the beginning of a formula, and an apostrophe for the beginning of a text.
        let tame = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
        if text.contains([',', '"', '\r', '\n']) {
            self.0.extend(["\"", tame, &text.replace('"', "\"\""), "\""]);
        } else {
            self.0.extend([tame, text]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be_and_tamed_where_they_could_run() {
        let cells = [
            ("", ""),
            ("curl/8.5", "curl/8.5"),
            ("a b;c", "a b;c"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\r\nlines", "\"two\r\nlines\""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            ("1=1", "1=1"),
        ];
        for (text, written) in cells {
            let mut csv = Csv::default();
            csv.line([text, "end"]);
            assert_eq!(csv.into_text(), format!("{written},end\r\n"));
        }
    }
}
