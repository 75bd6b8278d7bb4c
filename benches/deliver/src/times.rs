//! What is made of many times of one thing.

/// The value that so many in a thousand do not exceed (nearest rank); 0 when there are none.
pub(crate) fn in_thousand(values: &mut [f64], part: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let rank = (values.len() * part).div_ceil(1_000).max(1) - 1;
    values.get(rank).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!([500, 990, 1_000, 0].map(|part| in_thousand(&mut values, part)), [50.0, 99.0, 100.0, 1.0]);
        assert_eq!(in_thousand(&mut [], 500), 0.0);
    }
}
