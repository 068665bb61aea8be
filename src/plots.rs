//! One picture a quantity, over the whole life of a run: what is drawn. How is in [`drawing`].

pub mod drawing;
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
#[derive(Debug, PartialEq)]
pub struct Line {
    /// What the legend calls it.
    pub label: String,
    /// Which colour it has; curves of one model share theirs.
    pub colour: usize,
    /// Whether its points are marked: there are few, and it goes straight from one to the next.
    pub marked: bool,
    /// Its points, from left to right; all are finite.
    pub points: Vec<(f64, f64)>,
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

const WORDS: &str = "ids learnt";

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
                lines.push(Line {
                    label: label(model, what),
                    // One model: a colour a quantity. Several: a colour a model.
                    colour: if several { place } else { nth },
                    marked: nth > 0,
                    points: finite(curves.points.get(quantity).into_iter().flatten()),
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
        Some(Line { label: model.clone(), colour, marked: false, points })
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
            let points = finite(points);
            if points.iter().all(|(_, value)| (0.0..=1.0).contains(value)) {
                let name = name.replace('_', "-");
                let label = if several { format!("{model}, {name}") } else { name };
                lines.push(Line { label, colour: lines.len(), marked: true, points });
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

fn finite<'a>(points: impl IntoIterator<Item = &'a Point>) -> Vec<(f64, f64)> {
    let points = points.into_iter().map(|point| (point.words as f64, point.value));
    points.filter(|(_, value)| value.is_finite()).collect()
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
    fn what_is_not_finite_is_not_drawn() {
        // JSON has no infinity: such a number stands as null, and would not be read.
        let text = chunk("", 1e308) + &chunk("", 1.0);
        let mut models = curves(&text).expect("whole");
        for points in models[0].points.values_mut() {
            points[0].value = f64::INFINITY;
        }
        let figures = figures(&[("run".into(), models)]);
        assert!(figures.iter().all(|figure| figure.lines[0].points.len() == 1));
        for figure in &figures {
            // One point alone has no extent, and must be drawn all the same.
            assert!(drawing::svg(figure).expect("drawn").contains(figure.unit));
        }
    }

    #[test]
    fn a_name_becomes_one_part_of_a_path() {
        assert_eq!(plain("lstm-2"), "lstm-2");
        assert_eq!(plain("../a b/無"), "___a_b_無");
    }
}
