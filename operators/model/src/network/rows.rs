//! What the row of a new word holds: plain numbers, no tensors.
//!
//! A row is made from its word's vector; else from the mean of its parts' rows (its characters');
//! else from the mean of the rows before it; noise that is a function of (seed, row) tells apart
//! what would be equal. Rows are made in order of their ids, each seeing those before it, so
//! appending some rows and then others gives the same bits as appending all at once.

use crate::error::Error;
use crate::seed;

/// Bound of the uniform distribution that a fresh random row is drawn from.
const SPREAD: f32 = 0.1;

/// What noise beside a known beginning is scaled by: enough to tell two anagrams apart.
const FAINT: f32 = 0.1;

/// The output bias of a new row lies this far below the mean of the others: it begins with about a
/// tenth of the share that its weights alone would give it, so that a thousand words that come in
/// at once do not take the probability of those already learnt.
const RESERVE: f64 = std::f64::consts::LN_10;

/// How a row begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Beginning<'a> {
    /// From a pretrained vector, scaled to the norm of a fresh random row.
    Vector(&'a [f32]),
    /// From the mean of other rows, in ids smaller than the row's own; none: as if unknown.
    Parts(&'a [u32]),
}

/// The norm that vectors are scaled to: that of a row uniform in ±[`SPREAD`] on average. Fixed, and
/// not measured on the table, because a new word is a rare word and those stay near their birth.
fn typical_norm(width: usize) -> f64 {
    f64::from(SPREAD) * (width as f64 / 3.0).sqrt()
}

/// Appends rows to a table, row by row after row. `learnt` says whether the table has been trained:
/// before, its mean says nothing, and rows of unknown words are noise alone.
pub(super) fn extend(
    table: &mut Vec<f32>,
    width: usize,
    beginnings: &[Beginning<'_>],
    learnt: bool,
    (seed, purpose): (u64, &str),
) -> Result<(), Error> {
    let mut sums = None;
    for &beginning in beginnings {
        let row = table.len() / width;
        let fail = |reason: String| Error::Row { row, reason };
        let mut generator = seed::generator(seed, purpose, row as u64);
        let mut noise = |scale: f32| seed::around_zero(&mut generator, SPREAD * scale);
        let new: Vec<f32> = match beginning {
            Beginning::Vector(vector) if vector.len() != width => {
                let found = vector.len();
                return Err(fail(format!("its vector has {found} elements, the table {width}")));
            }
            Beginning::Vector(vector) if vector.iter().any(|x| !x.is_finite()) => {
                return Err(fail("its vector holds what is not a number".to_owned()));
            }
            Beginning::Vector(vector) if vector.iter().any(|&x| x != 0.0) => {
                let norm = vector.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
                let scale = typical_norm(width) / norm;
                vector.iter().map(|&x| (f64::from(x) * scale) as f32).collect()
            }
            Beginning::Parts(parts) if !parts.is_empty() => {
                if let Some(part) = parts.iter().find(|&&part| part as usize >= row) {
                    return Err(fail(format!("its part {part} has no row yet")));
                }
                let mean = |column: usize| {
                    let rows = parts.iter().map(|&part| table[part as usize * width + column]);
                    rows.map(f64::from).sum::<f64>() / parts.len() as f64
                };
                (0..width).map(|column| mean(column) as f32 + noise(FAINT)).collect()
            }
            // A vector of zeros says as little as none.
            _ if learnt && row > 0 => {
                let sums = sums.get_or_insert_with(|| column_sums(table, width));
                sums.iter().map(|sum| (sum / row as f64) as f32 + noise(FAINT)).collect()
            }
            _ => (0..width).map(|_| noise(1.0)).collect(),
        };
        if let Some(sums) = &mut sums {
            add_row(sums, &new);
        }
        table.extend(new);
    }
    Ok(())
}

/// Appends output biases: 0 before anything is learnt, afterwards [`RESERVE`] below the mean of those
/// before it.
pub(super) fn extend_bias(bias: &mut Vec<f32>, count: usize, learnt: bool) {
    let mut sum: f64 = bias.iter().map(|&b| f64::from(b)).sum();
    for _ in 0..count {
        let mean = sum / bias.len().max(1) as f64;
        let new = if learnt && !bias.is_empty() { (mean - RESERVE) as f32 } else { 0.0 };
        sum += f64::from(new);
        bias.push(new);
    }
}

/// Appends output biases within a cluster: 0 before anything is learnt, and in a cluster that opens,
/// whose rows are all equally new; afterwards a tenth ([`RESERVE`]) of the mean share of those
/// before it. A mean of logarithms, as in [`extend_bias`], would fall by ln 10 · ln n while a cluster
/// grows n-fold: one that opened with 500 rows would begin its 30,000th at 10⁻⁴ of a share.
pub(super) fn extend_tail(bias: &mut Vec<f32>, count: usize, learnt: bool) {
    if !learnt || bias.is_empty() {
        return bias.resize(bias.len() + count, 0.0);
    }
    let largest = bias.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let share = |bias: f32| f64::from(bias - largest).exp();
    let mut sum: f64 = bias.iter().map(|&bias| share(bias)).sum();
    for _ in 0..count {
        let new = ((sum / bias.len() as f64).ln() - RESERVE) as f32 + largest;
        sum += share(new);
        bias.push(new);
    }
}

fn column_sums(table: &[f32], width: usize) -> Vec<f64> {
    let mut sums = vec![0.0; width];
    table.chunks_exact(width).for_each(|row| add_row(&mut sums, row));
    sums
}

fn add_row(sums: &mut [f64], row: &[f32]) {
    sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNKNOWN: Beginning<'_> = Beginning::Parts(&[]);

    fn extended(table: &[f32], beginnings: &[Beginning<'_>], learnt: bool) -> Vec<f32> {
        let mut table = table.to_vec();
        extend(&mut table, 3, beginnings, learnt, (7, "table")).expect("rows that can be made");
        table
    }

    #[test]
    fn rows_do_not_depend_on_how_they_are_grouped() {
        let rows = [
            UNKNOWN,
            Beginning::Vector(&[1.0, 2.0, 2.0]),
            Beginning::Parts(&[0, 1]),
            UNKNOWN,
            UNKNOWN,
        ];
        for learnt in [false, true] {
            let whole = extended(&[], &rows, learnt);
            for cut in 0..rows.len() {
                let (before, after) = rows.split_at(cut);
                assert_eq!(whole, extended(&extended(&[], before, learnt), after, learnt));
            }
        }
    }

    #[test]
    fn a_vector_keeps_its_direction_and_gets_the_typical_norm() {
        let row = extended(&[], &[Beginning::Vector(&[0.0, 3.0, 4.0])], true);
        // 0.1 · √(3 / 3) = 0.1; (0, 3, 4) / 5 · 0.1
        for (found, expected) in row.iter().zip([0.0, 0.06, 0.08]) {
            assert!((found - expected).abs() < 1e-7, "{row:?}");
        }
    }

    #[test]
    fn parts_give_their_mean_and_a_learnt_table_gives_its_own() {
        let table = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 9.0];
        let parts = &extended(&table, &[Beginning::Parts(&[0, 1])], true)[9..];
        let mean = &extended(&table, &[UNKNOWN], true)[9..];
        let fresh = &extended(&table, &[UNKNOWN], false)[9..];
        let near = |row: &[f32], expected: [f32; 3]| {
            row.iter().zip(expected).all(|(x, y)| (x - y).abs() <= SPREAD * FAINT)
        };
        assert!(near(parts, [0.5, 0.5, 0.0]), "{parts:?}");
        assert!(near(mean, [1.0 / 3.0, 1.0 / 3.0, 3.0]), "{mean:?}");
        assert!(fresh.iter().all(|x| x.abs() <= SPREAD), "{fresh:?}");
    }

    #[test]
    fn impossible_rows_are_refused_by_number() {
        let refuse = |beginning| {
            let mut table = vec![0.0; 6];
            extend(&mut table, 3, &[beginning], true, (7, "table"))
                .expect_err("refused")
                .to_string()
        };
        assert_eq!(
            refuse(Beginning::Vector(&[1.0])),
            "could not append row 2: its vector has 1 elements, the table 3"
        );
        assert_eq!(
            refuse(Beginning::Parts(&[0, 2])),
            "could not append row 2: its part 2 has no row yet"
        );
        assert!(refuse(Beginning::Vector(&[1.0, f32::NAN, 0.0])).contains("not a number"));
    }

    #[test]
    fn a_new_bias_begins_with_a_tenth_of_a_share() {
        let mut bias = vec![1.0, 3.0];
        extend_bias(&mut bias, 2, true);
        let expected = 2.0 - 10f32.ln();
        assert!((bias[2] - expected).abs() < 1e-6 && bias[3] < bias[2], "{bias:?}");
        let mut in_two = vec![1.0, 3.0];
        extend_bias(&mut in_two, 1, true);
        extend_bias(&mut in_two, 1, true);
        assert_eq!(bias, in_two);
        let mut unlearnt = vec![0.0];
        extend_bias(&mut unlearnt, 1, false);
        assert_eq!(unlearnt, [0.0, 0.0]);
    }

    #[test]
    fn a_new_bias_in_a_tail_begins_with_a_tenth_of_the_mean_share() {
        let mut bias = vec![1.0, 3.0];
        extend_tail(&mut bias, 2, true);
        // (e¹ + e³) / 2 / 10, then (e¹ + e³ + that) / 3 / 10
        let first = (1f64.exp() + 3f64.exp()) / 20.0;
        let second = (1f64.exp() + 3f64.exp() + first) / 30.0;
        assert!((f64::from(bias[2]) - first.ln()).abs() < 1e-6, "{bias:?}");
        assert!((f64::from(bias[3]) - second.ln()).abs() < 1e-6, "{bias:?}");
        let mut unlearnt = vec![];
        extend_tail(&mut unlearnt, 2, false);
        assert_eq!(unlearnt, [0.0, 0.0]);

        let mut opening = vec![];
        extend_tail(&mut opening, 2, true);
        assert_eq!(opening, [0.0, 0.0]);
    }
}
