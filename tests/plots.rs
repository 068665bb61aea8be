//! A run has one picture a quantity over its whole life, and its vectors are read by others.

#![allow(dead_code, reason = "each file of tests uses a part of what supports them")]

#[path = "support/library.rs"]
mod library;
#[path = "support/running.rs"]
mod running;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use graphs::metrics::series::{Curves, Quantity, curves};
use library::Library;
use loopback::{Gate, Page, Server};
use operators::vectors::{Format, Vectors};
use running::{Job, Running};
use serde_json::Value;

const WORKS: u64 = 48;

/// Far beyond what a first picture takes.
const LIMIT: Duration = Duration::from_secs(300);

/// A library of this seed, and a prompt server of it.
fn library(folder: &Path, seed: u64) -> (Library, Server) {
    let library = Library::write(&folder.join("library"), WORKS, seed);
    let server = library.serve(seed, Duration::from_millis(20));
    (library, server)
}

fn start(job: &Job, overrides: &[&str]) -> Running {
    let mut command = job.command();
    command.args(overrides.iter().flat_map(|pair| ["--set", pair]));
    Running::start(command)
}

fn seseragi(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_seseragi")).args(arguments).output();
    let output = output.expect("the program can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the program prints UTF-8")
}

/// The files below a folder whose names have this part.
fn found(folder: &Path, part: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let named = |path: &PathBuf| path.to_string_lossy().contains(part);
    let deeper = folders.iter().flat_map(|folder| found(folder, part));
    files.iter().filter(|path| named(path)).cloned().chain(deeper).collect()
}

/// The curves of a run's only model.
fn measured(job: &Job) -> Curves {
    let text = fs::read_to_string(job.directory.join("metrics.jsonl")).expect("it has measured");
    let mut models = curves(&text).expect("whole lines");
    models.retain(|curves| !curves.points.is_empty());
    let model = models.pop().expect("a model");
    assert!(models.is_empty(), "one model");
    model
}

/// The points of a picture's only curve, in pixels. The axes are lines in another colour.
fn drawn(svg: &Path) -> Vec<(f64, f64)> {
    let picture = fs::read_to_string(svg).expect("it was drawn");
    let curves: Vec<&str> = picture
        .split("<polyline ")
        .skip(1)
        .filter_map(|line| line.split("/>").next())
        .filter(|line| line.contains("\"#0072B2\""))
        .collect();
    let [curve] = curves[..] else { panic!("{} curves in {}", curves.len(), svg.display()) };
    let points = curve.split("points=\"").nth(1).and_then(|rest| rest.split('"').next());
    let point = |pair: &str| {
        let (along, value) = pair.split_once(',').expect("a pair");
        (along.parse().expect("a number"), value.parse().expect("a number"))
    };
    points.expect("a row of points").split_whitespace().map(point).collect()
}

#[test]
fn a_run_that_was_stopped_and_resumed_has_one_curve_without_a_break_or_repetition() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_library, server) = library(folder.path(), 11);
    let job = Job::new(&folder.path().join("stopped"), &server.url(""), 2);
    let pictures = job.directory.join("plots");

    // Killed, so that measurements stand there that no checkpoint has; then drained; then to the end.
    let mut commits = 0;
    let mut killed = job.start();
    assert!(killed.wait_for(|line| {
        commits += u32::from(line.starts_with("committed"));
        commits == 2
    }));
    assert!(killed.kill(), "killed in the middle");
    let mut drained = job.start();
    drained.wait_for_commits(1);
    drained.signal("TERM");
    assert_eq!(drained.end().code, Some(0));
    let half = measured(&job).points[&Quantity::PrequentialLoss].len();
    assert_eq!(drawn(&pictures.join("learning_rate.svg")).len(), half);
    assert!(found(&job.directory, "tfevents").is_empty(), "nobody asked for them");
    let ended = start(&job, &["plots.tensorboard=true"]).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let chunks = ended.json()["chunks"].as_u64().expect("a count") as usize;
    assert!(0 < half && half < chunks, "{half} of {chunks} chunks when it was stopped");
    let curves = measured(&job);
    for quantity in [
        Quantity::PrequentialLoss,
        Quantity::PrequentialBits,
        Quantity::LearningRate,
        Quantity::GradientNorm,
        Quantity::Throughput,
    ] {
        let points = &curves.points[&quantity];
        assert_eq!(points.len(), chunks, "{quantity:?}");
        assert!(points.is_sorted_by(|one, next| one.words < next.words), "{quantity:?}");
    }
    // It went through the same life as one that nothing stopped, so far as time plays no part.
    let unbroken = Job::new(&folder.path().join("unbroken"), &server.url(""), 2);
    let ended = start(&unbroken, &["plots.every_seconds=0"]).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!unbroken.directory.join("plots").exists(), "0 draws nothing");
    let of = |curves: &Curves, quantity| -> Vec<(u64, u64, f64)> {
        let points = curves.points[&quantity].iter();
        points.map(|point| (point.words, point.step, point.value)).collect()
    };
    let expected = measured(&unbroken);
    for quantity in [Quantity::PrequentialLoss, Quantity::GradientNorm] {
        assert_eq!(of(&curves, quantity), of(&expected, quantity), "{quantity:?}");
    }

    // And that is what is drawn: a point a chunk, from left to right.
    for name in ["loss", "bits_per_character", "learning_rate", "gradient_norm", "throughput"] {
        let png = fs::read(pictures.join(name).with_extension("png")).expect("it was drawn");
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "{name}");
        assert!(pictures.join(name).with_extension("svg").exists(), "{name}");
    }
    for name in ["learning_rate", "gradient_norm", "throughput"] {
        let points = drawn(&pictures.join(name).with_extension("svg"));
        assert_eq!(points.len(), chunks, "{name}");
        assert!(points.is_sorted_by(|one, next| one.0 < next.0), "{name}: {points:?}");
    }
    let [events] = &found(&pictures, "tfevents")[..] else { panic!("one file of events") };
    let events = fs::read(events).expect("it is there");
    let tag = b"loss/prequential";
    assert_eq!(events.windows(tag.len()).filter(|bytes| bytes == tag).count(), chunks);
}

#[test]
fn a_run_is_drawn_while_it_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_library, server) = library(folder.path(), 12);
    // One of the last works comes when the picture was seen: until then the run cannot end.
    let gate = Gate::closed();
    let path = library::path(WORKS - 3);
    let page = fs::read(folder.path().join("library").join(path.trim_start_matches('/')));
    let page = Page::html(page.expect("a work")).header("Content-Type", "text/html");
    server.set(path, loopback::Behaviour::Page(page).behind(&gate));

    let job = Job::new(&folder.path().join("job"), &server.url(""), 2);
    let mut running = start(&job, &["plots.every_seconds=0.05"]);
    let picture = job.directory.join("plots/learning_rate.svg");
    let waiting = |begun: Instant| !picture.exists() && begun.elapsed() < LIMIT;
    assert!(running.run_while(waiting) && picture.exists(), "it was not drawn while it went on");
    let seen = drawn(&picture).len();
    gate.open();
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let chunks = ended.json()["chunks"].as_u64().expect("a count") as usize;
    assert!(0 < seen && seen < chunks, "{seen} of {chunks} chunks");
    assert_eq!(drawn(&picture).len(), chunks, "and at its end");
}

/// `[rows, width]` of a tensor in a safetensors file, and its elements.
fn tensor(file: &Path, name: &str) -> ([usize; 2], Vec<f32>) {
    let bytes = fs::read(file).expect("a checkpoint has it");
    let (length, rest) = bytes.split_first_chunk().expect("a length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: Value = serde_json::from_slice(header).expect("a header of JSON");
    let [shape, place] = ["shape", "data_offsets"].map(|key| {
        let pair: [usize; 2] = serde_json::from_value(header[name][key].clone()).expect("a pair");
        pair
    });
    let (elements, _) = data[place[0]..place[1]].as_chunks();
    (shape, elements.iter().map(|element| f32::from_le_bytes(*element)).collect())
}

#[test]
fn the_vectors_that_a_run_has_learnt_are_read_back_from_every_format() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_library, server) = library(folder.path(), 13);
    let job = Job::new(&folder.path().join("job"), &server.url(""), 2);
    job.run();
    let newest = job.checkpoints().pop().expect("it has committed");
    let [weights] = &found(&newest, "model.safetensors")[..] else { panic!("one model") };
    let ([rows, width], table) = tensor(weights, "embedding.weight");
    assert_eq!(width, 16);
    let run = job.directory.to_str().expect("a path of ours");
    let words = ["<document>", "<0x41>", "を", "。"];
    let mut of_each = Vec::new();
    for format in ["word2vec", "text", "finalfusion"] {
        let out = folder.path().join(format);
        let out_in_words = out.to_str().expect("a path of ours");
        seseragi(&["vectors", run, "--out", out_in_words, "--format", format]);
        let read = Vectors::open(&out, Format::Auto).expect("the project's own reader takes it");
        // The library has no blanks, but line ends: a word that word2vec's formats cannot hold.
        assert!(rows - read.len() <= 3 && read.dimension() == width, "{format}: {}", read.len());
        let vectors = words.map(|word| {
            let mut vector = vec![0.0; width];
            assert!(read.lookup(word, &mut vector), "{format}: {word}");
            vector
        });
        // 0 is the document mark, 1 + b the byte b.
        for (vector, id) in vectors.iter().zip([0, 1 + 0x41]) {
            let expected = &table[id * width..][..width];
            let near = |(one, other): (&f32, &f32)| (one - other).abs() <= 1e-6;
            assert!(vector.iter().zip(expected).all(near), "{format}: {id}");
            assert!(format == "finalfusion" || vector == expected, "{format}: {id}");
        }
        of_each.push(vectors);
    }
    assert_eq!(of_each[0], of_each[1], "binary and text are the same bit for bit");
    let flat = |vectors: &[Vec<f32>; 4]| vectors.concat();
    let near = flat(&of_each[0])
        .iter()
        .zip(flat(&of_each[2]))
        .all(|(one, other)| (one - other).abs() <= 1e-6);
    assert!(near, "finalfusion's within rounding");
}
