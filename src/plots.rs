//! One picture a quantity, over the whole life of a run: what is drawn. How is in [`drawing`].

pub mod drawing;
pub mod search;
mod watch;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context;
use graphs::{
    directory,
    metrics::series::{Curves, Point, Quantity, curves},
};

pub use watch::Watch;

/// What a picture shows.
#[derive(Debug, PartialEq)]
pub struct Figure {
    /// The file's name, without its ending.
    pub name: &'static str,
    /// What stands above it.
    pub title: &'static str,
    /// What the vertical axis is, with its unit.
    pub unit: &'static str,
    /// What the horizontal axis is.
    pub along: &'static str,
    /// Whether the vertical axis begins at zero.
    pub from_zero: bool,
    /// Whether it is logarithmic.
    pub logarithmic: bool,
    /// The curves.
    pub lines: Vec<Line>,
}

/// One curve.
#[derive(Debug, Default, PartialEq)]
pub struct Line {
    /// What the legend calls it.
    pub label: String,
    /// Which colour it has; curves of one model share theirs.
    pub colour: usize,
    /// Whether its points are marked: there are few, and it goes straight from one to the next.
    pub marked: bool,
    /// Whether it is broken.
    pub dashed: bool,
    /// Whether it is thin and pale, to stand behind the others.
    pub faint: bool,
    /// Its points, from left to right; all are finite.
    pub points: Vec<(f64, f64)>,
    /// Where values were that the picture does not hold: not finite, or far above all others.
    pub beyond: Vec<f64>,
}

/// A run's curves and what to call it.
pub type Named = (String, Vec<Curves>);

/// Reads what a run has measured.
///
/// # Errors
/// If it has measured nothing yet, or its measurements are damaged.
pub fn measured(run: &Path) -> anyhow::Result<Named> {
    let path = directory::metrics(run);
    let text = fs::read_to_string(&path).with_context(|| {
        let path = path.display();
        format!("could not read \"{path}\"; name the directory of a run that has learnt a chunk")
    })?;
    let curves = curves(&text).with_context(|| format!("could not read \"{}\"", path.display()))?;
    let name = run.file_name().unwrap_or(run.as_os_str());
    Ok((name.to_string_lossy().into_owned(), curves))
}

/// A name that is one part of a path, whatever it was.
pub fn plain(name: &str) -> String {
    let plain = |letter: char| if letter.is_alphanumeric() { letter } else { '_' };
    name.chars().map(|letter| if "-+".contains(letter) { letter } else { plain(letter) }).collect()
}

/// What the horizontal axis of a run's life is.
pub const WORDS: &str = "ids learnt (words, and the characters of words that are spelled)";

/// The pictures of some runs on common axes. One that would be empty is left out.
pub fn figures(runs: &[Named]) -> Vec<Figure> {
    let several = runs.iter().map(|(_, models)| models.len()).sum::<usize>() > 1;
    let models: Vec<(String, &Curves)> = runs
        .iter()
        .flat_map(|(run, models)| models.iter().map(move |curves| (run, curves)))
        .map(|(run, curves)| {
            let label = match &curves.model {
                Some(model) if runs.len() > 1 => format!("{run}: {model}"),
                Some(model) => model.clone(),
                None => run.clone(),
            };
            (label, curves)
        })
        .collect();
    let label = |model: &str, what: &str| match (several, what.is_empty()) {
        (false, _) => what.to_owned(),
        (true, true) => model.to_owned(),
        (true, false) => format!("{model}, {what}"),
    };
    let figure = |name, title, unit, from_zero, quantities: &[(Quantity, &str)]| {
        let mut lines = Vec::new();
        for (place, (model, curves)) in models.iter().enumerate() {
            for (nth, (quantity, what)) in quantities.iter().enumerate() {
                let (points, beyond) = parted(curves.points.get(quantity).into_iter().flatten());
                lines.push(Line {
                    label: label(model, what),
                    // One model: a colour a quantity. Several: a colour a model.
                    colour: if several { place } else { nth },
                    marked: nth > 0,
                    points,
                    beyond,
                    ..Line::default()
                });
            }
        }
        Figure { name, title, unit, along: WORDS, from_zero, logarithmic: false, lines }
    };
    let mut figures = vec![
        figure(
            "loss",
            "Loss",
            "nats per id",
            false,
            &[
                (Quantity::PrequentialLoss, "before learning it"),
                (Quantity::HeldOutLoss, "held out"),
            ],
        ),
        figure(
            "bits_per_character",
            "Bits per character",
            "bits per character",
            false,
            &[
                (Quantity::PrequentialBits, "before learning it"),
                (Quantity::HeldOutBits, "held out"),
            ],
        ),
        figure(
            "learning_rate",
            "Learning rate",
            "length of a step",
            true,
            &[(Quantity::LearningRate, "")],
        ),
        figure(
            "gradient_norm",
            "Gradient norm",
            "norm before clipping, mean of a chunk",
            true,
            &[(Quantity::GradientNorm, "")],
        ),
        figure("throughput", "Throughput", "ids per second", true, &[(Quantity::Throughput, "")]),
    ];
    figures.push(profiles(&models));
    figures.extend(repetition(&models, several));
    for figure in &mut figures {
        figure.lines.retain(|line| !line.points.is_empty());
        // A rate is as high as it was set, and a profile is drawn by its logarithm.
        if ["loss", "bits_per_character", "gradient_norm"].contains(&figure.name) {
            cut(&mut figure.lines);
        }
    }
    figures.retain(|figure| !figure.lines.is_empty());
    figures
}

/// Each model's newest gradient profile.
fn profiles(models: &[(String, &Curves)]) -> Figure {
    let lines = models.iter().enumerate().filter_map(|(colour, (model, curves))| {
        let profile = curves.profiles.last()?;
        let points = profile.distances.iter().copied().zip(profile.norms.iter().copied());
        // A norm of nothing has no logarithm.
        let points = points.filter(|(_, norm)| norm.is_finite() && *norm > 0.0).collect();
        Some(Line { label: model.clone(), colour, points, ..Line::default() })
    });
    Figure {
        name: "gradients",
        title: "Gradient profile",
        unit: "norm of d loss(T) / d input(t)",
        along: "distance T − t",
        from_zero: false,
        logarithmic: true,
        lines: lines.collect(),
    }
}

/// All gauges of repetition, those that are shares: between 0 and 1.
fn repetition(models: &[(String, &Curves)], several: bool) -> Option<Figure> {
    let mut lines = Vec::new();
    for (model, curves) in models {
        for (name, points) in &curves.repetition {
            let (points, beyond) = parted(points);
            if points.iter().all(|(_, value)| (0.0..=1.0).contains(value)) {
                let name = name.replace('_', "-");
                let label = if several { format!("{model}, {name}") } else { name };
                let (colour, marked) = (lines.len(), true);
                lines.push(Line { label, colour, marked, points, beyond, ..Line::default() });
            }
        }
    }
    (!lines.is_empty()).then_some(Figure {
        name: "repetition",
        title: "Repetition",
        unit: "share",
        along: WORDS,
        from_zero: true,
        logarithmic: false,
        lines,
    })
}

/// Points that can be drawn, and where those lie that are not finite.
pub fn parted<'a>(points: impl IntoIterator<Item = &'a Point>) -> (Vec<(f64, f64)>, Vec<f64>) {
    let points = points.into_iter().map(|point| (point.words as f64, point.value));
    let (drawn, beyond): (Vec<_>, Vec<_>) = points.partition(|(_, value)| value.is_finite());
    (drawn, beyond.into_iter().map(|(along, _)| along).collect())
}

/// Cuts off what is so far above the rest that nothing else could be told apart: what is higher than
/// three times as far above the least value as nine tenths of every curve are. A curve that comes to
/// ten times as much as the one in the middle has diverged, and is not asked. One that has fewer than
/// ten points is never cut for its own sake.
pub fn cut(lines: &mut [Line]) {
    let values = |line: &Line| line.points.iter().map(|(_, value)| *value).collect::<Vec<_>>();
    let least = lines.iter().flat_map(values).fold(f64::INFINITY, f64::min);
    let usual = |line: &Line| {
        let mut values = values(line);
        values.sort_by(f64::total_cmp);
        values.get((values.len() * 9).div_ceil(10).saturating_sub(1)).copied()
    };
    let mut usual: Vec<f64> = lines.iter().filter_map(usual).collect();
    usual.sort_by(f64::total_cmp);
    let Some(middle) = usual.get(usual.len().saturating_sub(1) / 2).copied() else { return };
    let usual = usual.into_iter().filter(|usual| *usual <= 10.0 * middle.abs());
    let usual = usual.fold(f64::NEG_INFINITY, f64::max);
    if usual <= least {
        return;
    }
    let top = least + 3.0 * (usual - least);
    for line in lines {
        for (along, value) in &mut line.points {
            if *value > top {
                *value = top;
                line.beyond.push(*along);
            }
        }
    }
}

/// Draws figures into a folder; the files. Each is written aside and renamed, so that whoever looks
/// at one never sees half of it.
///
/// # Errors
/// If the folder cannot be written to.
pub fn draw(folder: &Path, figures: &[Figure], endings: &[&str]) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let mut files = Vec::new();
    for figure in figures {
        for ending in endings {
            let path = folder.join(figure.name).with_extension(ending);
            let aside = folder.join(format!(".{}.{ending}", figure.name));
            match *ending {
                "svg" => fs::write(&aside, drawing::svg(figure).map_err(io::Error::other)?)?,
                _ => drawing::png(figure, &aside).map_err(io::Error::other)?,
            }
            fs::rename(&aside, &path)?;
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(model: &str, nats: f64) -> String {
        format!(
            "{{\"kind\":\"chunk\",\"time\":1,{model}\"ids\":10,\"prequential_nats\":{nats},\
             \"step\":3,\"bits_per_character\":7.5,\"gradient_norm\":0.5,\"learning_rate\":0.25,\
             \"words_per_second\":100}}\n"
        )
    }

    #[test]
    fn a_run_has_one_picture_a_quantity_however_many_chunks_it_has() {
        let text: String = (0..100).map(|place| chunk("", f64::from(place))).collect();
        let figures = figures(&[("run".into(), curves(&text).expect("whole"))]);
        let names: Vec<_> = figures.iter().map(|figure| figure.name).collect();
        let expected =
            ["loss", "bits_per_character", "learning_rate", "gradient_norm", "throughput"];
        assert_eq!(names, expected);
        assert!(figures.iter().all(|figure| figure.lines.len() == 1), "one curve each");
        assert_eq!(figures[0].lines[0].points.len(), 100);
        assert_eq!(figures[0].lines[0].points[99], (1000.0, 9.9)); // 100 · 10 ids, 99 / 10 nats
    }

    #[test]
    fn models_and_runs_stand_on_common_axes_each_in_a_colour_of_its_own() {
        let text = chunk("\"model\":\"lstm\",", 1.0) + &chunk("\"model\":\"rnn\",", 2.0);
        let models = curves(&text).expect("whole");
        let of_one = figures(&[("a".into(), models.clone())]);
        let labels = |figure: &Figure| -> Vec<(String, usize)> {
            figure.lines.iter().map(|line| (line.label.clone(), line.colour)).collect()
        };
        assert_eq!(labels(&of_one[4]), [("lstm".to_owned(), 0), ("rnn".to_owned(), 1)]);
        let other = curves(&chunk("", 3.0)).expect("whole");
        let of_two = figures(&[("a".into(), models), ("b".into(), other)]);
        let expected = [("a: lstm".to_owned(), 0), ("a: rnn".to_owned(), 1), ("b".to_owned(), 2)];
        assert_eq!(labels(&of_two[4]), expected);
    }

    #[test]
    fn what_is_not_finite_is_marked_beyond_and_the_rest_drawn() {
        // JSON has no infinity: such a number stands as null.
        let text = chunk("", 1.0).replace("7.5", "null") + &chunk("", 1.0);
        let figures = figures(&[("run".into(), curves(&text).expect("whole"))]);
        let found: Vec<_> = figures
            .iter()
            .map(|figure| (figure.lines[0].points.len(), figure.lines[0].beyond.clone()))
            .collect();
        let all = (2, vec![]);
        assert_eq!(found, [all.clone(), (1, vec![10.0]), all.clone(), all.clone(), all]);
        for figure in &figures {
            // One point alone has no extent, and must be drawn all the same.
            assert!(drawing::svg(figure).expect("drawn").contains(figure.unit));
        }
    }

    #[test]
    fn an_early_spike_is_cut_off_and_marked_and_a_curve_that_falls_is_not() {
        let line = |values: Vec<f64>| {
            let points = (0..).map(f64::from).zip(values).collect();
            Line { points, ..Line::default() }
        };
        let mut values = vec![5.0; 20];
        values[0] = 700.0;
        values[19] = 4.0;
        let mut spiked = [line(values), line(vec![6.0, 5.0])];
        cut(&mut spiked);
        assert_eq!(spiked[0].points[0], (0.0, 10.0)); // 4 + 3 · (6 − 4)
        assert_eq!((&spiked[0].beyond, &spiked[1].beyond), (&vec![0.0], &vec![]));
        // A run that diverged beside one that did not.
        let mut both = [line(vec![7.0, 1e15, 9e15, 8.0]), line(vec![8.0, 6.0, 5.0, 4.0])];
        cut(&mut both);
        assert_eq!((&both[0].beyond, both[0].points[1]), (&vec![1.0, 2.0], (1.0, 16.0))); // 4 + 3 · 4
        assert!(both[1].beyond.is_empty());
        // From 12 towards 4, as a loss does.
        let falling = (0..100).map(|chunk| 4.0 + 8.0 * (-0.01 * f64::from(chunk)).exp());
        let mut falling = [line(falling.collect())];
        cut(&mut falling);
        assert_eq!((falling[0].points[0], &falling[0].beyond), ((0.0, 12.0), &vec![]));
    }

    #[test]
    fn a_name_becomes_one_part_of_a_path() {
        assert_eq!(plain("lstm-2"), "lstm-2");
        assert_eq!(plain("../a b/無"), "___a_b_無");
    }
}
