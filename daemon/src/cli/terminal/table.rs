//! [`Table`]: columns that fit the terminal.
//!
//! Cells may hold anything; they are made harmless here, so that no caller can forget it. When a table is too wide the widest
//! columns of text give way first, down to a width at which a reader still sees something. Numbers and times are never cut: half of
//! one is a lie. So a table of many columns may be wider than the terminal.

use crate::cli::terminal::text::{fit, printable, width};

/// A column never gets narrower than this for want of room.
const CELLS_MIN: usize = 8;

/// Between two columns.
const GAP: usize = 2;

/// Where the text of a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text; cut when there is no room.
    Left,
    /// Text that says nothing when cut, such as a time.
    Whole,
    /// Numbers; never cut.
    Right,
}

/// Rows under a heading.
#[derive(Debug, Clone)]
pub struct Table {
    heading: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new<S: AsRef<str>>(heading: impl IntoIterator<Item = (S, Align)>) -> Table {
        Table { heading: heading.into_iter().map(|(name, align)| (printable(name.as_ref()), align)).collect(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty, further ones are left out.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(|cell| printable(cell.as_ref())).take(self.heading.len()).collect());
    }

    /// The widths that suit the rows there are, in `cells` cells if that can be.
    #[must_use]
    pub fn widths(&self, cells: usize) -> Vec<usize> {
        let mut widths = self.natural_widths();
        let room = cells.saturating_sub(GAP * widths.len().saturating_sub(1));
        let whole: usize = widths.iter().zip(&self.heading).filter(|(_, (_, align))| *align != Align::Left).map(|(width, _)| width).sum();
        let mut text: Vec<&mut usize> =
            widths.iter_mut().zip(&self.heading).filter(|(_, (_, align))| *align == Align::Left).map(|(width, _)| width).collect();
        shrink(&mut text, room.saturating_sub(whole));
        widths
    }

    /// The widths at which nothing is cut.
    #[must_use]
    pub fn natural_widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.heading.iter().map(|(name, _)| width(name)).collect();
        for row in &self.rows {
            for (column, cell) in widths.iter_mut().zip(row) {
                *column = (*column).max(width(cell));
            }
        }
        widths
    }

    /// Whether a column has a cell that is not empty.
    #[must_use]
    pub fn has_content(&self, column: usize) -> bool {
        self.rows.iter().any(|row| row.get(column).is_some_and(|cell| !cell.is_empty()))
    }

    /// The table with these columns only.
    #[must_use]
    pub fn select(&self, columns: &[usize]) -> Table {
        let pick = |row: &Vec<String>| columns.iter().map(|&i| row.get(i).cloned().unwrap_or_default()).collect();
        let heading = columns.iter().filter_map(|&i| self.heading.get(i).cloned()).collect();
        Table { heading, rows: self.rows.iter().map(pick).collect() }
    }

    /// The lines of the table, with its heading when wanted.
    #[must_use]
    pub fn lines(&self, widths: &[usize], heading: bool) -> Vec<String> {
        // A JSON path keeps its case: another case is another path. No dimension has capitals.
        let title = |name: &str| {
            if name.contains(['.', '"']) || name.chars().any(char::is_uppercase) { name.to_owned() } else { name.to_uppercase() }
        };
        let names: Vec<String> = self.heading.iter().map(|(name, _)| title(name)).collect();
        let head = heading.then_some(&names);
        head.into_iter().chain(&self.rows).map(|row| self.line(row, widths)).collect()
    }

    /// Drops the rows, keeps the heading.
    pub fn clear(&mut self) {
        self.rows.clear();
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (i, ((_, align), &cells)) in self.heading.iter().zip(widths).enumerate() {
            let cell = row.get(i).map_or("", String::as_str);
            let text = if *align == Align::Left { fit(cell, cells) } else { cell.to_owned() };
            let padding = " ".repeat(cells.saturating_sub(width(&text)));
            if i > 0 {
                line.push_str(&" ".repeat(GAP));
            }
            match align {
                Align::Left | Align::Whole => line.extend([text.as_str(), &padding]),
                Align::Right => line.extend([padding.as_str(), &text]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Takes cells from the widest columns until all of them fit, or are as narrow as they may be.
fn shrink(widths: &mut [&mut usize], room: usize) {
    loop {
        let over = widths.iter().map(|w| **w).sum::<usize>().saturating_sub(room);
        let widest = widths.iter().map(|w| **w).max().unwrap_or(0);
        if over == 0 || widest <= CELLS_MIN {
            return;
        }
        let next = widths.iter().map(|w| **w).filter(|&w| w < widest).max().unwrap_or(0).max(CELLS_MIN);
        let count = widths.iter().filter(|w| ***w == widest).count();
        let step = (widest - next).min(over.div_ceil(count)).max(1);
        widths.iter_mut().filter(|w| ***w == widest).for_each(|w| **w -= step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([("user", Align::Left), ("count", Align::Right)]);
        table.row(["alice", "42"]);
        table.row(["日本", "7"]);
        table
    }

    #[test]
    fn columns_stand_under_each_other() {
        let table = table();
        assert_eq!(table.lines(&table.widths(80), true), ["USER   COUNT", "alice     42", "日本       7"]);
        assert_eq!(table.lines(&table.widths(80), false).len(), 2);
    }

    #[test]
    fn hostile_cells_stay_on_their_line() {
        let mut table = Table::new([("user\u{1b}", Align::Left), ("error", Align::Left)]);
        table.row(["\u{1b}]0;title\u{7}\nroot", "a\u{202e}b"]);
        table.row(["x".repeat(10_000), "y".repeat(10_000)]);
        for cells in [1, 10, 40, 80, 300] {
            for line in table.lines(&table.widths(cells), true) {
                assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
                assert!(width(&line) <= cells.max(2 * CELLS_MIN + GAP), "{cells}: {line}");
            }
        }
    }

    #[test]
    fn the_widest_give_way_first() {
        let mut widths = [10, 50, 100];
        shrink(&mut widths.iter_mut().collect::<Vec<_>>(), 60);
        assert_eq!(widths, [10, 25, 25]);
        shrink(&mut widths.iter_mut().collect::<Vec<_>>(), 3);
        assert_eq!(widths, [8, 8, 8]);
    }

    #[test]
    fn times_and_numbers_are_never_cut() {
        let mut table = Table::new([("event_time", Align::Whole), ("user", Align::Left), ("count", Align::Right)]);
        table.row(["2023-07-10T12:34:45.123Z", "a-user-with-a-long-name", "1,234,567,890,123"]);
        for cells in [1, 40, 60, 80, 200] {
            let line = table.lines(&table.widths(cells), true).remove(1);
            assert!(line.starts_with("2023-07-10T12:34:45.123Z  a-user-") && line.ends_with("1,234,567,890,123"), "{cells}: {line}");
            assert!(width(&line) <= cells.max(24 + CELLS_MIN + 17 + 2 * GAP), "{cells}: {line}");
        }
    }

    #[test]
    fn columns_can_be_left_out() {
        let mut table = Table::new([("user", Align::Left), ("error", Align::Left), ("count", Align::Right)]);
        table.row(["alice", "", "1"]);
        assert_eq!([0, 1, 2, 3].map(|column| table.has_content(column)), [true, false, true, false]);
        let few = table.select(&[0, 2]);
        assert_eq!(few.lines(&few.widths(80), true), ["USER   COUNT", "alice      1"]);
    }

    #[test]
    fn rows_may_be_short_or_long() {
        let mut table = table();
        table.row(["only"]);
        table.row(["a", "b", "c"]);
        assert_eq!(table.lines(&table.widths(80), false)[2..], ["only", "a          b"]);
    }
}
