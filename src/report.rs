//! The report: one page that holds everything, its pictures too, and asks the web for nothing.

mod figures;
mod page;

use anyhow::anyhow;
use graphs::report::RunReport;

use crate::plots::drawing::{Dress, dressed};
use figures::{figures, shown};
use page::Drawn;

/// How large a picture is on the page, before the page scales it: so that its letters have about the
/// size of the text.
const ON_A_PAGE: Dress = Dress { size: (740, 450), stands_alone: false };

/// The page, in HTML.
///
/// # Errors
/// If a picture cannot be drawn.
pub fn page(runs: &[RunReport]) -> anyhow::Result<String> {
    let models = shown(runs);
    let drawn = figures(&models)
        .into_iter()
        .map(|(figure, caption)| {
            let svg = dressed(&figure, ON_A_PAGE).map_err(|error| anyhow!(error))?;
            let hides = figure.lines.iter().any(|line| !line.beyond.is_empty());
            Ok(Drawn { title: figure.title, caption, svg, hides })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(page::page(runs, &models, &drawn).into_string())
}
