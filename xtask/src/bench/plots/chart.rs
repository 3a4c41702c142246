//! How a chart looks, as SVG: lines over a light grid, y from zero, a legend beside them.

use super::{
    axis::{Scale, XAxis, short},
    lines::{Line, Stroke},
};
use anyhow::Result;
use plotters::prelude::*;

/// What is drawn, and what is written beside it.
pub struct Chart {
    pub caption: String,
    pub x_label: &'static str,
    pub scale: Scale,
    pub lines: Vec<Line>,
}

const SIZE: (u32, u32) = (960, 480);
/// As wide as the longest name: `graphile_worker, not pinned`.
const LEGEND_WIDTH: u32 = 230;
const TEXT: (&str, u32) = ("sans-serif", 14);
/// So small that there is room to say that quick runs are no measurements.
const CAPTION: (&str, u32) = ("sans-serif", 15);
const GRID: RGBColor = RGBColor(225, 225, 225);

/// One per system. The strong ones of Okabe and Ito, told apart also by people who see colours differently,
/// and two more. None looks like the faint stroke of another, as their light blue and a grey would.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(106, 61, 154),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
    RGBColor(120, 70, 40),
];

impl Chart {
    /// The picture, as the text of an SVG file.
    pub fn svg(&self) -> Result<String> {
        let mut svg = String::new();
        self.draw(SVGBackend::with_string(&mut svg, SIZE))?;
        Ok(svg)
    }

    fn draw(&self, backend: SVGBackend) -> Result<()> {
        let area = backend.into_drawing_area();
        area.fill(&WHITE)?;
        let (plot, legend) = area.split_horizontally(SIZE.0 - LEGEND_WIDTH);
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let top = points().map(|(_, rate)| *rate).fold(1.0, f64::max) * 1.05;
        let x_axis = XAxis::of(self.scale, points().map(|(x, _)| *x));
        let mut chart = ChartBuilder::on(&plot)
            .margin(12)
            .caption(&self.caption, CAPTION)
            .x_label_area_size(48)
            .y_label_area_size(64)
            .build_cartesian_2d(x_axis, 0.0..top)?;
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .label_style(TEXT)
            .x_desc(self.x_label)
            .y_desc("jobs a second")
            .y_label_formatter(&|rate| short(*rate))
            .draw()?;
        for line in &self.lines {
            let points = line.points.iter().copied();
            chart.draw_series(LineSeries::new(points.clone(), style(line)))?;
            // Points in time are many and next to each other, cases are few and far between.
            if matches!(self.scale, Scale::Logarithmic) {
                chart.draw_series(points.map(|point| Circle::new(point, 3, style(line).filled())))?;
            }
        }
        // Drawn here and not by the library, which would put it on top of the lines.
        for (row, line) in self.lines.iter().enumerate() {
            let y = 50 + 20 * row as i32;
            legend.draw(&PathElement::new([(0, y), (24, y)], style(line)))?;
            legend.draw(&Text::new(line.name.as_str(), (32, y - 6), TEXT))?;
        }
        area.present()?;
        Ok(())
    }
}

fn style(line: &Line) -> ShapeStyle {
    let colour = COLOURS[line.system % COLOURS.len()];
    match line.stroke {
        Stroke::Full => colour.stroke_width(2),
        Stroke::Faint => colour.mix(0.4).stroke_width(2),
    }
}
