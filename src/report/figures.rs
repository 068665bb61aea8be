//! What the report draws: every model of every run on common axes.
//!
//! A model has its colour on the whole page. Where models of one shape differ in their clipping alone,
//! they share a colour, and the one without clipping is dashed.

use graphs::{
    job::Clipping,
    metrics::series::{Point, Profile, Quantity},
    report::{ModelReport, RunReport},
};

use crate::plots::{Figure, Line, WORDS, cut, drawing::HUMAN, parted};

/// A model as the page shows it.
pub struct Shown<'a> {
    /// What it is called: with its run's name where there are several.
    pub label: String,
    /// The number of its colour.
    pub colour: usize,
    /// Whether its lines are dashed.
    pub dashed: bool,
    /// What there is to say of it.
    pub report: &'a ModelReport,
}

/// The models of the runs, in their order.
pub fn shown(runs: &[RunReport]) -> Vec<Shown<'_>> {
    let models: Vec<(&RunReport, &ModelReport)> =
        runs.iter().flat_map(|run| run.models.iter().map(move |model| (run, model))).collect();
    let pairs = paired(&models.iter().map(|(_, model)| kind(model)).collect::<Vec<_>>());
    let strokes = pairs.unwrap_or_else(|| (0..models.len()).map(|place| (place, false)).collect());
    let named = models.into_iter().zip(strokes).map(|((run, report), (colour, dashed))| {
        let label = if runs.len() > 1 {
            format!("{}: {}", run.name, report.name)
        } else {
            report.name.clone()
        };
        Shown { label, colour, dashed, report }
    });
    named.collect()
}

/// What two models share that differ in their clipping alone, and whether this one is clipped.
fn kind(model: &ModelReport) -> (String, bool) {
    let job = &model.job;
    let shape = format!("{:?} {} {} {}", job.cell, job.layers, job.hidden, job.embedding);
    (shape, model.clip != Clipping::None)
}

/// A colour for each kind, dashed where it is not clipped, if that tells all of them apart.
fn paired(kinds: &[(String, bool)]) -> Option<Vec<(usize, bool)>> {
    let mut shapes: Vec<&String> = Vec::new();
    let mut strokes = Vec::new();
    for (shape, clipped) in kinds {
        let known = shapes.iter().position(|other| *other == shape);
        let colour = known.unwrap_or_else(|| {
            shapes.push(shape);
            shapes.len() - 1
        });
        if strokes.contains(&(colour, !clipped)) {
            return None;
        }
        strokes.push((colour, !clipped));
    }
    (shapes.len() < kinds.len()).then_some(strokes)
}

/// The figures, each with the words below it; one that would be empty is left out.
pub fn figures(models: &[Shown<'_>]) -> Vec<(Figure, &'static str)> {
    let along_life = |name, title, unit, quantity| {
        let lines = models.iter().map(|model| {
            line(model, model.report.curves.points.get(&quantity).into_iter().flatten())
        });
        Figure {
            name,
            title,
            unit,
            along: WORDS,
            from_zero: false,
            logarithmic: false,
            lines: lines.collect(),
        }
    };
    let marked = |mut figure: Figure| {
        figure.lines.iter_mut().for_each(|line| line.marked = true);
        figure
    };
    let mut loss = along_life("loss", "Loss as it reads", "nats per id", Quantity::PrequentialLoss);
    let mut bits = marked(along_life(
        "bits_per_character",
        "Held-out text",
        "bits per character",
        Quantity::HeldOutBits,
    ));
    cut(&mut loss.lines);
    cut(&mut bits.lines);
    let mut gradients = along_life(
        "gradient_norm",
        "Gradient norm",
        "before clipping, mean of a chunk",
        Quantity::GradientNorm,
    );
    gradients.logarithmic = true;
    let mut clipped = along_life(
        "clipped",
        "Steps that were clipped",
        "share of a chunk's steps",
        Quantity::ClippedShare,
    );
    clipped.from_zero = true;
    clipped.lines.retain(|line| line.points.iter().any(|(_, share)| *share > 0.0));
    let mut all = vec![
        (loss, "Each window is scored before the step on it."),
        (bits, "Documents that are never trained on."),
        (gradients, "The mean over a chunk's steps, before clipping, on a logarithmic axis."),
        (clipped, "Models that are not clipped, and those that never had to be, are not shown."),
        (
            profiles(models),
            "‖∂ loss(T) / ∂ input(t)‖ over the distance T − t, on held-out text: pale at the first \
             measurement, strong at the last. What falls vanishes, what climbs explodes.",
        ),
        (
            spectral(models),
            "The largest singular value of the recurrence (of an LSTM's, the largest of its gates). \
             Above 1 it can lengthen what it is given at every step.",
        ),
        (
            repetition(models),
            "Share of four-word sequences that came before, in a passage of each model at every \
             score. The grey line is text that people wrote.",
        ),
    ];
    for (figure, _) in &mut all {
        if figure.logarithmic {
            // Nothing has no logarithm.
            let lines = figure.lines.iter_mut();
            lines.for_each(|line| line.points.retain(|(_, value)| *value > 0.0));
        }
        figure.lines.retain(|line| !line.points.is_empty());
    }
    all.retain(|(figure, _)| !figure.lines.is_empty());
    all
}

fn line<'a>(model: &Shown<'_>, points: impl IntoIterator<Item = &'a Point>) -> Line {
    let (points, beyond) = parted(points);
    let (label, colour, dashed) = (model.label.clone(), model.colour, model.dashed);
    Line { label, colour, dashed, points, beyond, ..Line::default() }
}

fn profiles(models: &[Shown<'_>]) -> Figure {
    let profile = |model: &Shown<'_>, profile: &Profile, faint| {
        let points = profile.distances.iter().copied().zip(profile.norms.iter().copied());
        let points = points.filter(|(_, norm)| norm.is_finite()).collect();
        Line { points, faint, ..line(model, []) }
    };
    let mut lines = Vec::new();
    for model in models {
        let taken = &model.report.curves.profiles;
        let first = taken.first().filter(|_| taken.len() > 1);
        lines.extend(first.map(|first| profile(model, first, true)));
        lines.extend(taken.last().map(|last| profile(model, last, false)));
    }
    lines.sort_by_key(|line| !line.faint); // what is pale lies below
    Figure {
        name: "gradient_profile",
        title: "How far back gradients reach",
        unit: "norm of the gradient",
        along: "distance T − t in ids",
        from_zero: false,
        logarithmic: true,
        lines,
    }
}

fn spectral(models: &[Shown<'_>]) -> Figure {
    let lines = models.iter().map(|model| {
        let taken = model.report.curves.profiles.iter();
        let points = taken.filter_map(|profile| {
            let largest = profile.spectral_norms.iter().copied().reduce(f64::max)?;
            largest.is_finite().then_some((profile.words as f64, largest))
        });
        Line { points: points.collect(), marked: true, ..line(model, []) }
    });
    let mut lines: Vec<Line> = lines.collect();
    cut(&mut lines);
    Figure {
        name: "spectral_norm",
        title: "Spectral norm of the recurrence",
        unit: "largest singular value",
        along: WORDS,
        from_zero: true,
        logarithmic: false,
        lines,
    }
}

fn repetition(models: &[Shown<'_>]) -> Figure {
    let gauge = |model: &Shown<'_>, name: &str| {
        line(model, model.report.curves.repetition.get(name).into_iter().flatten())
    };
    let mut lines: Vec<Line> = models.iter().map(|model| gauge(model, "passage.rep_4")).collect();
    lines.iter_mut().for_each(|line| line.marked = true);
    // All models are laid beside the same text: the one that was scored longest has most of it.
    let human = models.iter().map(|model| gauge(model, "human.rep_4"));
    let human = human.max_by_key(|line| line.points.len());
    lines.extend(human.map(|line| Line { colour: HUMAN, dashed: false, ..line }));
    Figure {
        name: "repetition",
        title: "How they repeat themselves",
        unit: "rep-4",
        along: WORDS,
        from_zero: true,
        logarithmic: false,
        lines,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_differ_in_clipping_alone_share_a_colour_if_that_tells_them_apart() {
        let kinds = |pairs: &[(&str, bool)]| {
            let kinds: Vec<_> =
                pairs.iter().map(|(shape, clipped)| ((*shape).to_owned(), *clipped)).collect();
            paired(&kinds)
        };
        let pairs = [("rnn", true), ("rnn", false), ("lstm", true), ("lstm", false)];
        let strokes = vec![(0, false), (0, true), (1, false), (1, true)];
        assert_eq!(kinds(&pairs), Some(strokes));
        assert_eq!(kinds(&[("rnn", true), ("rnn", true)]), None);
        assert_eq!(kinds(&[("rnn", true), ("lstm", true)]), None);
    }
}
