//! Text from events on a terminal: made harmless, measured, cut.
//!
//! Events are written by strangers. A control byte in a user name could move the cursor, change the title or hide a line; a
//! direction mark could turn it around. All of them are shown as escapes. Width is counted in terminal cells.

use unicode_width::UnicodeWidthChar;

/// The text on one line with everything that steers a terminal written as an escape (`\n`, `\u{1b}`).
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.extend(c.escape_default()),
            c if steers(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// JSON that is one line and steers no terminal: line breaks between tokens become blanks, and what steers becomes the
/// `\uXXXX` that means the same. Valid JSON has neither but inside strings and between tokens.
#[must_use]
pub fn printable_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if steers(c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// Controls, and characters without a shape of their own that change how others are shown.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// How many cells a text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The text in at most `cells` cells, with `…` where it was cut.
#[must_use]
pub fn fit(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > cells {
            break;
        }
        out.push(c);
    }
    if cells > 0 {
        out.push('…');
    }
    out
}

/// A number with commas between the thousands.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with what it counts: `1 segment`, `2,000 segments`. The plural is made with `s`.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// A size in the unit that suits it.
#[must_use]
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut value = number as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS.get(unit).copied().unwrap_or("PiB"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_that_steers_a_terminal_gets_through() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{7f}\u{9b}31m"), "a\\u{1b}[2Jb\\nc\\u{7f}\\u{9b}31m");
        assert_eq!(printable("\u{202e}live\u{202c}\u{200b}"), "\\u{202e}live\\u{202c}\\u{200b}");
        assert_eq!(printable("Zoë 日本 🦀"), "Zoë 日本 🦀");
    }

    #[test]
    fn escaped_json_means_the_same() {
        let json = "{\n\t\"a\": \"x\u{9b}\u{202e}\u{e0041}y\"}";
        let shown = printable_json(json);
        assert_eq!(shown.lines().count(), 1);
        assert!(!shown.chars().any(steers));
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parse(json), parse(&shown));
    }

    #[test]
    fn cuts_by_cells() {
        assert_eq!(fit("日本語", 6), "日本語");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("abc", 1), "…");
        assert_eq!(fit("abc", 0), "");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
    }

    proptest! {
        #[test]
        fn any_text_becomes_harmless_and_fits(text in any::<String>(), cells in 0_usize..40) {
            let safe = printable(&text);
            prop_assert!(!safe.chars().any(steers));
            prop_assert!(width(&fit(&safe, cells)) <= cells);
        }
    }
}
