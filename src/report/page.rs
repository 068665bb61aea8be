//! The page itself: HTML that stands alone, for light and for dark rooms, for screens and for paper.

use graphs::{job::Clipping, report::RunReport};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::figures::Shown;
use crate::{
    commands::grouped,
    plots::drawing::{colour, power},
};

const STYLE: &str = include_str!("page.css");

/// A picture with its words.
pub struct Drawn {
    /// What stands above it.
    pub title: &'static str,
    /// What stands below it.
    pub caption: &'static str,
    /// It.
    pub svg: String,
    /// Whether something lies beyond its axis.
    pub hides: bool,
}

/// The whole page.
pub fn page(runs: &[RunReport], models: &[Shown<'_>], figures: &[Drawn]) -> Markup {
    let names = runs.iter().map(|run| run.name.as_str()).collect::<Vec<_>>().join(", ");
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (names) " · seseragi" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (names) }
                    @for run in runs { p.lede { (read(run, runs.len() > 1)) } }
                    (best(models))
                }
                main {
                    h2 { "The models" }
                    (table(models))
                    h2 { "Their lives" }
                    ul.legend { @for model in models { li { (swatch(model)) (model.label) } } }
                    div.figures { @for figure in figures { (picture(figure)) } }
                    (repetition(models))
                    (passages(models))
                    (parameters(models))
                }
                footer {
                    @for run in runs {
                        p { (run.name) ": epoch " (run.epoch) ", weights_digest " code { (run.weights_digest) } }
                    }
                    p { "Made by seseragi " (env!("CARGO_PKG_VERSION")) " from the runs' metrics and newest checkpoints." }
                }
            }
        }
    }
}

/// What a run has read.
fn read(run: &RunReport, several: bool) -> Markup {
    let account = &run.account;
    html! {
        @if several { b { (run.name) } ": " }
        (counted(run.models.len(), "model", "models")) " on the same "
        (counted(run.counts.next_chunk as usize, "chunk", "chunks")) ": "
        (grouped(account.entries)) " entries, "
        (grouped(account.learnt)) " of them learnt and " (grouped(account.held_out)) " held out; "
        (grouped(account.words)) " words, " (grouped(account.characters)) " characters; "
        (format!("{:.0} s of training.", run.counts.training_seconds))
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count as u64), if count == 1 { one } else { many })
}

/// The model with the best score on held-out text.
fn winner<'a>(models: &'a [Shown<'_>]) -> Option<(&'a Shown<'a>, f64)> {
    let scored = models.iter().filter(|model| model.report.set_aside.is_none());
    let scored = scored.filter_map(|model| Some((model, model.report.held_out_bits?)));
    let scored = scored.filter(|(_, bits)| bits.is_finite());
    scored.min_by(|one, other| one.1.total_cmp(&other.1))
}

fn best(models: &[Shown<'_>]) -> Markup {
    html! {
        @if let Some((model, bits)) = winner(models).filter(|_| models.len() > 1) {
            p.lede {
                "Best on text that none of them was trained on: "
                span.best { (model.label) } ", " (number(bits)) " bits per character."
            }
        }
    }
}

fn table(models: &[Shown<'_>]) -> Markup {
    let best = winner(models).map(|(model, _)| model.label.as_str());
    html! {
        div.scrolls {
            table {
                thead {
                    tr {
                        th.word { "model" } th.word { "clipping" }
                        th { "learning rate" } th { "parameters" } th { "steps" }
                        th { "held out," br; "bits per character" } th { "perplexity" br; "per word" }
                        th { "as it read," br; "bits per character" } th.word { "what became of it" }
                    }
                }
                tbody { @for model in models { (row(model, best == Some(model.label.as_str()))) } }
                caption {
                    "Held out: the last score on documents that are never trained on. As it read: each chunk before \
                     it was learnt, the median of the last quarter of chunks."
                }
            }
        }
    }
}

fn row(model: &Shown<'_>, best: bool) -> Markup {
    let report = model.report;
    let job = &report.job;
    let cell = format!("{:?}", job.cell).to_lowercase();
    let clipping = match report.clip {
        Clipping::None => "none".to_owned(),
        Clipping::Norm => format!("norm at {}", report.clip_at),
        Clipping::Value => format!("value at {}", report.clip_at),
    };
    let clipped = report.clipped_share.filter(|_| report.clip != Clipping::None);
    html! {
        tr {
            th.word scope="row" {
                (swatch(model)) (model.label)
                span.soft.below { (cell) ", " (job.layers) " × " (job.hidden) }
            }
            td.word {
                (clipping)
                @if let Some(share) = clipped { br; span.soft { (format!("{:.0} % of steps", 100.0 * share)) } }
            }
            td { (report.learning_rate) }
            td { (report.parameters.map_or("–".into(), grouped)) }
            td { (grouped(report.steps)) }
            td class=[best.then_some("best")] { (some(report.held_out_bits)) }
            td { (some(report.perplexity)) }
            td { (some(report.recent_bits)) }
            td.word.fate { (fate(model)) }
        }
    }
}

/// How it fared, in words.
fn fate(model: &Shown<'_>) -> Markup {
    let report = model.report;
    let exploded = report.exploded_chunks;
    html! {
        @match report.set_aside {
            Some(why) => span.warn { "set aside: it " (why) },
            None => "learnt to the end",
        }
        @if exploded > 0 {
            br;
            span.warn {
                "exploded in " (exploded) " of " (counted(report.chunks, "chunk", "chunks"))
                @match report.worst_bits {
                    Some(bits) => { ", up to " (number(bits)) " bits per character" },
                    None => ", beyond all numbers",
                }
            }
        }
    }
}

fn swatch(model: &Shown<'_>) -> Markup {
    let colour = hexadecimal(model.colour);
    html! {
        svg.swatch viewBox="0 0 28 8" aria-hidden="true" {
            line x1="0" x2="28" y1="4" y2="4" stroke=(colour) stroke-width="3"
                stroke-dasharray=[model.dashed.then_some("7 3.5")] {}
        }
    }
}

/// As plotters writes it, so that the page's style finds it in pictures and swatches alike.
fn hexadecimal(number: usize) -> String {
    let colour = colour(number);
    format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2)
}

fn picture(figure: &Drawn) -> Markup {
    let named = format!("<svg role=\"img\" aria-label=\"{}\" ", figure.title);
    html! {
        figure {
            h3 { (figure.title) }
            (PreEscaped(figure.svg.replacen("<svg ", &named, 1)))
            figcaption {
                (figure.caption)
                @if figure.hides { " ▲ marks what lies beyond the axis." }
            }
        }
    }
}

/// The columns of the table of gauges: heading, the gauge's name, and digits behind the point.
const GAUGES: [(&str, &str, usize); 9] = [
    ("rep-4", "passage.rep_4", 3),
    ("distinct-2", "passage.distinct_2", 3),
    ("longest loop", "passage.longest_loop", 0),
    ("commonest word", "passage.commonest_share", 3),
    ("Zipf slope", "passage.zipf_slope", 2),
    ("p, unseen", "sentence.none", 4),
    ("after 1 copy", "sentence.one", 4),
    ("2 copies", "sentence.two", 4),
    ("4 copies", "sentence.four", 4),
];

/// The same gauge of what people wrote, if there is one.
fn of_people(gauge: &str) -> String {
    gauge.strip_prefix("passage.").map(|name| format!("human.{name}")).unwrap_or_default()
}

fn repetition(models: &[Shown<'_>]) -> Markup {
    let gauged: Vec<&Shown<'_>> =
        models.iter().filter(|model| !model.report.repetition.is_empty()).collect();
    let told = |model: &Shown<'_>, name: &str, digits: usize| {
        model.report.repetition.get(name).map_or("–".into(), |value| format!("{value:.digits$}"))
    };
    html! {
        @if let Some(one) = gauged.last() {
            h2 { "The repetition gauge" }
            div.scrolls {
                table {
                    thead { tr { th.word { "model" } @for (heading, ..) in GAUGES { th { (heading) } } } }
                    tbody {
                        @for model in &gauged {
                            tr {
                                th.word scope="row" { (swatch(model)) (model.label) }
                                @for (_, name, digits) in GAUGES { td { (told(model, name, digits)) } }
                            }
                        }
                        tr.human {
                            th.word scope="row" { "people" }
                            @for (_, name, digits) in GAUGES {
                                td { (told(one, &of_people(name), digits)) }
                            }
                        }
                    }
                    caption {
                        "Of a passage that each model wrote at temperature 1 at its last score, beside as much of the \
                         held-out text. Right: the mean probability of a sentence's words, at first sight and after \
                         copies of it; where it nears 1, a sentence that was once repeated goes on for ever."
                    }
                }
            }
        }
    }
}

fn passages(models: &[Shown<'_>]) -> Markup {
    html! {
        @if models.iter().any(|model| model.report.passage.is_some()) {
            h2 { "What they write" }
            div.passages {
                @for model in models {
                    @if let Some(passage) = &model.report.passage {
                        article.passage {
                            h3 { (swatch(model)) (model.label) }
                            blockquote lang="ja" { (passage.text.trim()) }
                            p.soft {
                                (format!("seed {}, rep-4 {:.3}", passage.seed, passage.repetition.rep_4))
                                @if passage.repetition.loops() { span.warn { ", goes in circles" } }
                            }
                        }
                    } @else {
                        article.passage {
                            h3 { (swatch(model)) (model.label) }
                            p.soft { "It has no weights to write with." }
                        }
                    }
                }
            }
        }
    }
}

fn parameters(models: &[Shown<'_>]) -> Markup {
    html! {
        @if models.iter().any(|model| !model.report.surveyed.is_empty()) {
            h2 { "Their parameters" }
            p.soft { "Norms after the last step of the chunk that was surveyed last; the gradient's is before clipping." }
            @for model in models.iter().filter(|model| !model.report.surveyed.is_empty()) {
                details {
                    summary { (swatch(model)) (model.label) }
                    div.scrolls {
                        table {
                            thead {
                                tr {
                                    th.word { "parameter" } th { "norm" } th { "gradient" } th { "step" }
                                    th { "step / norm" }
                                }
                            }
                            tbody {
                                @for parameter in &model.report.surveyed {
                                    tr {
                                        td.word { code { (parameter.name) } }
                                        td { (number(parameter.weight_norm)) }
                                        td { (number(parameter.gradient_norm)) }
                                        td { (number(parameter.update_norm)) }
                                        td { (number(parameter.update_norm / parameter.weight_norm)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn some(value: Option<f64>) -> String {
    value.map_or("–".into(), number)
}

/// A number for people: three digits behind the point, or a power of ten.
fn number(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "∞".into(),
        0.0 => "0".into(),
        1e4.. | ..1e-3 => power(value.abs().log10()),
        100.0.. => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_people_read_them() {
        let told = [4.7571, 152.34, 9e15, 0.0, 2.5e-7, f64::NAN].map(number);
        assert_eq!(told, ["4.757", "152.3", "9.0·10¹⁵", "0", "2.5·10⁻⁷", "∞"]);
    }
}
