//! The picture of a search: the score of every trial, chunk by chunk, the winner marked.

use std::collections::BTreeMap;

use graphs::{
    metrics::series::{Curves, Point, Quantity},
    tune::{Fate, Trial},
};

use super::{Figure, Line, cut, parted};

/// The colour of the winner, which no other trial has, and those of the others by how they ended.
const WINNER: usize = 1;
const KEPT: usize = 0;
const DIVERGED: usize = 3;
const OUTDONE: [usize; 3] = [4, 2, 5];

/// The score of every trial over the chunks, the best of `standing` marked. `curves` are those of all
/// brackets; `called` is what the winner's line is called.
pub fn search(standing: &[&Trial], curves: &[Curves], called: &str) -> Figure {
    let by_name: BTreeMap<&str, &Curves> =
        curves.iter().filter_map(|curves| Some((curves.model.as_deref()?, curves))).collect();
    let mut lines: Vec<Line> = Vec::new();
    // The winner last, so that no other lies over it.
    for (place, trial) in standing.iter().enumerate().rev() {
        let Some(curves) = by_name.get(trial.name.as_str()) else { continue };
        let points = curves.points.get(&Quantity::PrequentialBits).into_iter().flatten();
        let (points, beyond) = parted(&numbered(points));
        let wins = place == 0 && trial.fate != Fate::Diverged;
        let (colour, label) = match trial.fate {
            _ if wins => (WINNER, called.to_owned()),
            Fate::Kept => (KEPT, "left at the end of its bracket".to_owned()),
            Fate::Diverged => (DIVERGED, "diverged".to_owned()),
            Fate::Outdone => {
                let rung = trial.rungs.len();
                let colour = OUTDONE[rung.saturating_sub(1) % OUTDONE.len()];
                (colour, format!("outdone at the end of rung {rung}"))
            }
        };
        // One entry in the legend for all that ended alike.
        let is_new = lines.iter().all(|line| line.label != label);
        let label = if is_new { label } else { String::new() };
        lines.push(Line { label, colour, marked: wins, points, beyond, ..Line::default() });
    }
    lines.retain(|line| !line.points.is_empty());
    cut(&mut lines);
    Figure {
        name: "tune",
        title: "Search",
        unit: "bits per character of each chunk, before learning it",
        along: "chunks",
        from_zero: false,
        logarithmic: false,
        lines,
    }
}

/// The points of a curve by the chunks learnt instead of the ids.
fn numbered<'a>(points: impl Iterator<Item = &'a Point>) -> Vec<Point> {
    points.zip(1..).map(|(point, chunks)| Point { words: chunks, ..*point }).collect()
}

#[cfg(test)]
mod tests {
    use graphs::metrics::series::curves;

    use super::*;

    fn trial(name: &str, rungs: usize, fate: Fate) -> Trial {
        Trial {
            name: name.into(),
            bracket: 0,
            values: BTreeMap::new(),
            rungs: vec![5.0; rungs],
            bits_per_character: Some(5.0),
            chunks: 2,
            fate,
        }
    }

    #[test]
    fn every_trial_has_a_line_over_its_chunks_and_the_winner_alone_is_marked() {
        let trials = [
            trial("trial-2", 2, Fate::Kept),
            trial("trial-1", 1, Fate::Outdone),
            trial("trial-4", 1, Fate::Outdone),
            trial("trial-3", 0, Fate::Diverged),
        ];
        let text: String = ["trial-1", "trial-2", "trial-2", "trial-4"]
            .map(|name| {
                format!(
                    "{{\"kind\":\"chunk\",\"model\":\"{name}\",\"ids\":10,\"step\":1,\
                     \"prequential_nats\":1,\"bits_per_character\":6,\"gradient_norm\":1,\
                     \"learning_rate\":1,\"words_per_second\":1}}\n"
                )
            })
            .concat();
        let standing: Vec<&Trial> = trials.iter().collect();
        let figure = search(&standing, &curves(&text).expect("whole"), "trial-2 wins");
        let found: Vec<(&str, bool, usize)> = figure
            .lines
            .iter()
            .map(|line| (line.label.as_str(), line.marked, line.points.len()))
            .collect();
        // The one that diverged in its first chunk has no point.
        let outdone = "outdone at the end of rung 1";
        assert_eq!(found, [(outdone, false, 1), ("", false, 1), ("trial-2 wins", true, 2)]);
        assert_eq!(figure.lines[2].points, [(1.0, 6.0), (2.0, 6.0)]);
    }
}
