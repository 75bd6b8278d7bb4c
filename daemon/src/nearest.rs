//! "Did you mean": the known word that is nearest to a mistyped one.
//!
//! Problem: a wrong name in a configuration or a request should be answered with the right one. Mechanism: Levenshtein
//! distance over characters, in two rows; case and underscores count for nothing where that is nearer (`eventName` is
//! `event_name`). Limits: words longer than 64 characters have no neighbour.

const WORD_CHARS_MAX: usize = 64;

/// The word of `known` that is nearest to `word`, if one is near enough: a third of the word, at least two edits, but not all of it.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    if length > WORD_CHARS_MAX {
        return None;
    }
    let bound = (length / 3).max(2).min(length.saturating_sub(1));
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate).min(distance(&bare(word), &bare(candidate))), candidate))
        .filter(|(d, _)| *d <= bound)
        .min()
        .map(|(_, c)| c)
}

/// ``; did you mean `x`?`` or nothing, to be put at the end of a message.
#[must_use]
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default()
}

fn bare(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(usize::MAX - 1);
            let diagonal = row.get(j).copied().unwrap_or(usize::MAX - 1);
            let left = next.last().copied().unwrap_or(usize::MAX - 1);
            next.push((above + 1).min(left + 1).min(diagonal + usize::from(x != *y)));
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_neighbour_and_nothing_far_away() {
        let known = ["listen", "data_dir", "retention"];
        assert_eq!(nearest("lisen", known), Some("listen"));
        assert_eq!(nearest("retentoin", known), Some("retention"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!((nearest("", ["a"]), nearest("b", ["a"]), nearest("ab", ["a"])), (None, None, Some("a")));
        assert_eq!(nearest("DataDir", known), Some("data_dir"));
        assert_eq!(hint("datadir", known), "; did you mean `data_dir`?");
        assert_eq!(hint(&"x".repeat(1_000), known), "");
    }
}
