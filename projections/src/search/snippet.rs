//! The part of a message that was looked for, as HTML that is safe to show.

use std::ops::Range;

use super::Terms;
use super::words::{Word, words};

/// How much is shown, in characters, and how much of it comes before the first match.
const LENGTH: usize = 160;
const BEFORE: usize = 40;

/// About 160 characters around the first match, with `<mark>…</mark>` around each; the beginning, where there is none.
#[must_use]
pub fn snippet(text: &str, terms: Option<&Terms>) -> String {
    let marked = terms.map(|terms| matches(text, terms)).unwrap_or_default();
    let shown = part(text, marked.first().map_or(0, |first| first.start));
    let mut html = String::new();
    if shown.start > 0 {
        html.push('…');
    }
    let mut at = shown.start;
    for range in marked.into_iter().take_while(|range| range.start < shown.end) {
        let (from, to) = (range.start.max(at), range.end.min(shown.end));
        escape(&mut html, text.get(at..from).unwrap_or_default());
        html.push_str("<mark>");
        escape(&mut html, text.get(from..to).unwrap_or_default());
        html.push_str("</mark>");
        at = to;
    }
    escape(&mut html, text.get(at..shown.end).unwrap_or_default());
    if shown.end < text.trim_end().len() {
        html.push('…');
    }
    html
}

/// Where the terms stand: the first match, and what may be shown together with it. None of them overlap.
fn matches(text: &str, terms: &Terms) -> Vec<Range<usize>> {
    let longest = terms.wanted.iter().map(|term| term.keys.len()).max().unwrap_or(0);
    let (mut found, mut row, mut rest) = (Vec::<Range<usize>>::new(), Vec::<Word<'_>>::new(), words(text));
    loop {
        row.extend(rest.by_ref().take(longest.saturating_sub(row.len())));
        let Some(first) = row.first() else { return found };
        // Longer than what is shown, in whatever letters.
        if found.first().is_some_and(|seen| first.from > seen.start + 4 * LENGTH) {
            return found;
        }
        let fitting = terms.wanted.iter().filter(|term| term.begins(&row));
        let end = fitting.filter_map(|term| row.get(term.keys.len() - 1)).map(|last| last.to).max();
        match (end, found.last_mut()) {
            (Some(end), Some(last)) if first.from < last.end => last.end = last.end.max(end),
            (Some(end), _) => found.push(first.from..end),
            (None, _) => {}
        }
        row.remove(0);
    }
}

/// The part to show: all, or from some words before the first match on; whole words, where these aren't too long.
fn part(text: &str, first: usize) -> Range<usize> {
    let first = if text.char_indices().nth(LENGTH).is_none() { 0 } else { first };
    let back = text.get(..first).unwrap_or_default().char_indices().rev().take(BEFORE);
    let (start, count) = back.fold((first, 0), |(_, count), (at, _)| (at, count + 1));
    let is_whole = start == 0 || count < BEFORE;
    let start = if is_whole { start } else { start + word_start(text.get(start..first).unwrap_or_default()) };
    let rest = text.get(start..).unwrap_or_default();
    let Some((end, _)) = rest.char_indices().nth(LENGTH) else { return start..text.trim_end().len().max(start) };
    let cut = rest.get(..end).unwrap_or_default();
    // Not so far back that the match itself is left out.
    let least = first - start + cut.len() / 2;
    let space = cut.rfind(char::is_whitespace).filter(|space| *space > least.min(cut.len()));
    start..start + space.unwrap_or(end)
}

/// Where the first whole word begins; 0 where there is none.
fn word_start(text: &str) -> usize {
    let space = text.char_indices().find(|(_, c)| c.is_whitespace());
    space.map_or(0, |(at, c)| at + c.len_utf8())
}

fn escape(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c if c.is_whitespace() || c.is_control() => html.push(' '),
            c => html.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Terms;
    use super::snippet;

    fn of(text: &str, query: &str) -> String {
        snippet(text, Some(&Terms::parse(query).unwrap()))
    }

    #[test]
    fn what_was_found_is_marked_and_nothing_else_is_html() {
        assert_eq!(
            of("Un CAFÉ <b>noir</b>, le café!", "cafe"),
            "Un <mark>CAFÉ</mark> &lt;b&gt;noir&lt;/b&gt;, le <mark>café</mark>!"
        );
        assert_eq!(of("a & b's \"c\"", "b"), "a &amp; <mark>b</mark>&#39;s &quot;c&quot;");
        assert_eq!(of("one two, three", "\"two three\""), "one <mark>two, three</mark>");
        assert_eq!(of("begin beginning began", "begin*"), "<mark>begin</mark> <mark>beginning</mark> began");
        assert_eq!(of("東京へ行く", "京へ"), "東<mark>京へ</mark>行く");
        assert_eq!(of("a b c", "\"a b\" \"b c\""), "<mark>a b c</mark>");
    }

    #[test]
    fn it_is_a_part_of_whole_words_around_the_first_match() {
        let text = format!("{}needle {}", "hay ".repeat(100), "straw ".repeat(100));
        let shown = of(&text, "needle");
        assert!(shown.starts_with("…hay hay") && shown.ends_with("straw…"), "{shown}");
        let plain = shown.replace("<mark>", "").replace("</mark>", "");
        assert!((140..=162).contains(&plain.chars().count()), "{}", plain.len());
        let row = of(&format!("{}针{}", "草".repeat(300), "禾".repeat(300)), "针");
        assert_eq!(row, format!("…{}<mark>针</mark>{}…", "草".repeat(40), "禾".repeat(119)));
    }

    #[test]
    fn without_a_match_it_is_the_beginning() {
        assert_eq!(snippet("  a <i>\n", None), "  a &lt;i&gt;");
        assert_eq!(snippet(&"x".repeat(161), None), format!("{}…", "x".repeat(160)));
        assert_eq!(of("", "a"), "");
        assert_eq!(of("\n ", "a"), "");
    }

    #[test]
    fn a_match_longer_than_what_is_shown_is_cut() {
        let shown = of(&"x".repeat(1_000), &"x".repeat(70));
        assert_eq!(shown, format!("<mark>{}</mark>…", "x".repeat(160)));
    }
}
