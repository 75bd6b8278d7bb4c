//! [`Table`]: columns that fit the terminal.
//!
//! Cells may hold anything; they are made harmless here, so that no caller can forget it. When a table is too wide the widest
//! columns give way first, down to a width at which a reader still sees something.

use super::text::{fit, printable, width};

/// A column never gets narrower than this for want of room.
const CELLS_MIN: usize = 8;

/// Between two columns.
const GAP: usize = 2;

/// Where the text of a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
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

    /// The widths that suit the rows there are, in at most `cells` cells.
    #[must_use]
    pub fn widths(&self, cells: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = self.heading.iter().map(|(name, _)| width(name)).collect();
        for row in &self.rows {
            for (column, cell) in widths.iter_mut().zip(row) {
                *column = (*column).max(width(cell));
            }
        }
        let room = cells.saturating_sub(GAP * widths.len().saturating_sub(1));
        shrink(&mut widths, room);
        widths
    }

    /// The lines of the table, with its heading when wanted.
    #[must_use]
    pub fn lines(&self, widths: &[usize], heading: bool) -> Vec<String> {
        // A JSON path keeps its case: another case is another path.
        let title = |name: &str| if name.contains(['.', '"']) { name.to_owned() } else { name.to_uppercase() };
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
            let text = fit(row.get(i).map_or("", String::as_str), cells);
            let padding = " ".repeat(cells.saturating_sub(width(&text)));
            if i > 0 {
                line.push_str(&" ".repeat(GAP));
            }
            match align {
                Align::Left => line.extend([text.as_str(), &padding]),
                Align::Right => line.extend([padding.as_str(), &text]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Takes cells from the widest columns until all of them fit, or are as narrow as they may be.
fn shrink(widths: &mut [usize], room: usize) {
    while widths.iter().sum::<usize>() > room {
        let over = widths.iter().sum::<usize>() - room;
        let Some(&widest) = widths.iter().max().filter(|&&widest| widest > CELLS_MIN) else { return };
        let next = widths.iter().copied().filter(|&w| w < widest).max().unwrap_or(0).max(CELLS_MIN);
        let count = widths.iter().filter(|&&w| w == widest).count();
        let step = (widest - next).min(over.div_ceil(count)).max(1);
        widths.iter_mut().filter(|w| **w == widest).for_each(|w| *w -= step);
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
        shrink(&mut widths, 60);
        assert_eq!(widths, [10, 25, 25]);
        shrink(&mut widths, 3);
        assert_eq!(widths, [8, 8, 8]);
    }

    #[test]
    fn rows_may_be_short_or_long() {
        let mut table = table();
        table.row(["only"]);
        table.row(["a", "b", "c"]);
        assert_eq!(table.lines(&table.widths(80), false)[2..], ["only", "a          b"]);
    }
}
