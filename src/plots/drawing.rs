//! Draws a figure: ink and paper, nothing that decides what is shown.

use std::{path::Path, sync::Once};

use plotters::{
    coord::Shift,
    prelude::*,
    style::{FontStyle, register_font},
};

use super::{Figure, Line};

/// How a figure is dressed.
#[derive(Clone, Copy, Debug)]
pub struct Dress {
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Whether it tells its title and what its colours mean. On a page it need not: the page does.
    pub stands_alone: bool,
}

/// As a picture in a file of its own.
const ALONE: Dress = Dress { size: (1200, 720), stands_alone: true };

/// Colours that people tell apart however they see colours, and that a printer keeps apart
/// (Okabe and Ito 2008; black and yellow left out).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];
/// The number of a colour that none of the curves has: for what people wrote.
pub const HUMAN: usize = usize::MAX;

/// The colour of a number; there are six, and then they come again.
pub fn colour(number: usize) -> RGBColor {
    if number == HUMAN { GREY } else { COLOURS[number % COLOURS.len()] }
}

const GREY: RGBColor = RGBColor(128, 128, 128);
/// The colour of letters and axes.
pub const INK: RGBColor = RGBColor(51, 51, 51);
/// The colour of lines that only guide the eye.
pub const GRID: RGBColor = RGBColor(229, 229, 229);
/// What it is drawn on.
pub const PAPER: RGBColor = WHITE;

/// From so many points on, a curve is a smoothed line over its faint points.
const MANY: usize = 40;

/// Draws a figure as SVG.
pub fn svg(figure: &Figure) -> Result<String, String> {
    dressed(figure, ALONE)
}

/// Draws a figure as SVG, in another dress than that of a file.
pub fn dressed(figure: &Figure, dress: Dress) -> Result<String, String> {
    let mut text = String::new();
    draw(&SVGBackend::with_string(&mut text, dress.size).into_drawing_area(), figure, dress)?;
    Ok(text)
}

/// Draws a figure as PNG into a file.
pub fn png(figure: &Figure, path: &Path) -> Result<(), String> {
    draw(&BitMapBackend::new(path, ALONE.size).into_drawing_area(), figure, ALONE)
}

fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    figure: &Figure,
    dress: Dress,
) -> Result<(), String> {
    with_letters();
    paint(area, figure, dress).map_err(|error| format!("could not draw {}: {error}", figure.name))
}

/// The letters travel with the program: the machine may have none.
fn with_letters() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for (style, font) in
            [(FontStyle::Normal, dejavu::sans::regular()), (FontStyle::Bold, dejavu::sans::bold())]
        {
            let registered = register_font("sans-serif", style, font);
            assert!(registered.is_ok(), "the font that comes along is a font");
        }
    });
}

fn paint<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    figure: &Figure,
    dress: Dress,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let height = |value: f64| if figure.logarithmic { value.log10() } else { value };
    let all = || figure.lines.iter().flat_map(|line| &line.points);
    let (left, right) = extent(all().map(|point| point.0), 0.0);
    let (mut bottom, top) = extent(all().map(|point| height(point.1)), 0.06);
    if figure.from_zero && bottom < top {
        bottom = bottom.min(0.0);
        bottom = if all().all(|point| point.1 >= 0.0) { 0.0 } else { bottom };
    }
    let left = left.min(0.0);

    area.fill(&PAPER)?;
    let text = |size: i32| ("sans-serif", size).into_font().color(&INK);
    let mut builder = ChartBuilder::on(area);
    builder.margin(18).margin_right(36).x_label_area_size(64).y_label_area_size(96);
    if dress.stands_alone {
        let bold = ("sans-serif", 28, FontStyle::Bold).into_font().color(&INK);
        builder.caption(figure.title, bold);
    }
    let mut chart = builder.build_cartesian_2d(left..right, bottom..top)?;
    let logarithmic = figure.logarithmic;
    let beyond = figure.lines.iter().any(|line| !line.beyond.is_empty());
    let unit = format!("{}{}", figure.unit, if beyond { " (▲ beyond)" } else { "" });
    let on_the_side = |value: &f64| if logarithmic { power(*value) } else { short(*value) };
    chart
        .configure_mesh()
        .x_desc(figure.along)
        .y_desc(unit)
        .x_labels(9)
        .y_labels(8)
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&on_the_side)
        .label_style(text(17))
        .axis_desc_style(text(19))
        .axis_style(INK.mix(0.6))
        .bold_line_style(GRID)
        .light_line_style(PAPER.mix(0.0))
        .draw()?;

    for line in &figure.lines {
        let colour = colour(line.colour);
        let points: Vec<(f64, f64)> =
            line.points.iter().map(|(along, value)| (*along, height(*value))).collect();
        let thick = colour.stroke_width(3);
        let curve = if points.len() >= MANY && !line.marked && !logarithmic {
            let faint =
                points.iter().map(|point| Circle::new(*point, 2, colour.mix(0.25).filled()));
            chart.draw_series(faint)?;
            smoothed(&points)
        } else {
            points.clone()
        };
        // What is held out and shares a model's colour is told apart by its marks.
        let marks = line.marked || points.len() == 1;
        let stroke = match (line.marked, line.faint) {
            (_, true) => colour.mix(0.6).stroke_width(2),
            (true, _) => colour.mix(0.7).stroke_width(2),
            _ => thick,
        };
        if line.dashed {
            chart.draw_series(DashedLineSeries::new(curve, 9, 6, stroke))?;
        } else {
            chart.draw_series(LineSeries::new(curve, stroke))?;
        }
        if marks {
            let dots = points.iter().map(|point| Circle::new(*point, 5, colour.filled()));
            chart.draw_series(dots)?;
        }
        let edge = bottom + 0.985 * (top - bottom);
        let beyond = line.beyond.iter();
        chart.draw_series(
            beyond.map(|along| TriangleMarker::new((*along, edge), 7, colour.filled())),
        )?;
        if dress.stands_alone && !line.label.is_empty() {
            legend(&mut chart, line, colour)?;
        }
    }
    if dress.stands_alone && figure.lines.iter().any(|line| !line.label.is_empty()) {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(PAPER.mix(0.85))
            .border_style(GRID)
            .label_font(text(17))
            .margin(14)
            .draw()?;
    }
    area.present()
}

type Chart<'a, B> = ChartContext<
    'a,
    B,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

/// Enters a curve into the legend: by a series without points, so that it stands there once.
fn legend<'a, B: DrawingBackend + 'a>(
    chart: &mut Chart<'a, B>,
    line: &Line,
    colour: RGBColor,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let nothing = std::iter::empty::<Circle<(f64, f64), i32>>();
    let entry = chart.draw_series(nothing)?.label(line.label.clone());
    if line.marked {
        entry.legend(move |(x, y)| {
            EmptyElement::at((x, y))
                + PathElement::new(vec![(0, 0), (24, 0)], colour.mix(0.7).stroke_width(2))
                + Circle::new((12, 0), 5, colour.filled())
        });
    } else {
        entry.legend(move |(x, y)| {
            PathElement::new(vec![(x, y), (x + 24, y)], colour.stroke_width(3))
        });
    }
    Ok(())
}

/// The least and the greatest of the values, with so much air around them; never the same.
fn extent(values: impl Iterator<Item = f64>, air: f64) -> (f64, f64) {
    let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
        (least.min(value), most.max(value))
    });
    if least > most {
        return (0.0, 1.0);
    }
    if least == most {
        let around = if least == 0.0 { 1.0 } else { least.abs() * 0.5 };
        return (least - around, least + around);
    }
    let air = (most - least) * air;
    (least - air, most + air)
}

/// A running mean that forgets: over a twentieth of the points, whatever their number. It is divided
/// by the weight that it has so far, so that its beginning does not lean towards zero (as Kingma and
/// Ba 2015 correct their means).
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let keep = 1.0 - 20.0 / points.len().max(MANY) as f64;
    let (mut sum, mut weight) = (0.0, 0.0);
    points
        .iter()
        .map(|(along, value)| {
            sum = sum * keep + value;
            weight = weight * keep + 1.0;
            (*along, sum / weight)
        })
        .collect()
}

/// A number as an axis has it: 2.5M, 120k, 0.04.
fn short(value: f64) -> String {
    let size = value.abs();
    let (value, unit) = match size {
        size if size >= 1e9 => (value / 1e9, "G"),
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e4 => (value / 1e3, "k"),
        size if size > 0.0 && size < 1e-4 => return format!("{value:.1e}"),
        _ => (value, ""),
    };
    let digits = format!("{value:.4}");
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    let digits = if digits == "-0" { "0" } else { digits };
    format!("{digits}{unit}")
}

/// A power of ten, given its logarithm: 10⁻³; between two of them, 3.2·10⁻³.
pub fn power(logarithm: f64) -> String {
    let exponent = (logarithm + 0.002).floor(); // 9.96 would be told as 10.0
    let mantissa = 10_f64.powf(logarithm - exponent);
    let raised = |digit: char| match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32('⁰' as u32 + digit as u32 - '0' as u32).expect("a raised digit"),
    };
    let power: String = format!("{exponent:.0}").chars().map(raised).collect();
    let factor = if mantissa < 1.05 { String::new() } else { format!("{mantissa:.1}·") };
    format!("{factor}10{power}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_on_axes_are_short() {
        let shown =
            [0.0, 0.002, 7.25, 9000.0, 25_000.0, 1_500_000.0, 3e9, 0.00003, -0.00000].map(short);
        assert_eq!(shown, ["0", "0.002", "7.25", "9000", "25k", "1.5M", "3G", "3.0e-5", "0"]);
        assert_eq!(
            [0.0, -3.0, 12.0, 0.5, 0.999].map(power),
            ["10⁰", "10⁻³", "10¹²", "3.2·10⁰", "10¹"]
        );
    }

    #[test]
    fn an_extent_is_never_empty() {
        assert_eq!(extent([1.0, 3.0].into_iter(), 0.5), (0.0, 4.0));
        assert_eq!(extent([2.0].into_iter(), 0.0), (1.0, 3.0));
        assert_eq!(extent([0.0].into_iter(), 0.0), (-1.0, 1.0));
        assert_eq!(extent(std::iter::empty(), 0.0), (0.0, 1.0));
    }

    #[test]
    fn a_smoothed_line_keeps_to_a_constant_and_evens_out_what_shakes() {
        let level: Vec<_> = (0..200).map(|place| (f64::from(place), 3.0)).collect();
        assert!(smoothed(&level).iter().all(|(_, value)| (value - 3.0).abs() < 1e-12));
        let shaking: Vec<_> =
            (0..200).map(|place| (f64::from(place), f64::from(place % 2))).collect();
        assert!(smoothed(&shaking)[50..].iter().all(|(_, value)| (value - 0.5).abs() < 0.06));
    }
}
