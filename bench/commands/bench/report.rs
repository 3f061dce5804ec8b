//! The table of results: medians with minimum and maximum, ratios within a round, and targets.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

/// All rows.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    rows: Vec<Row>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<LeftOut>,
    #[serde(skip)]
    since: Instant,
}

/// Why a row is left out: the requests can't be counted.
pub(super) const NO_PROXY: &str =
    "there is no fault proxy in front of the DynamoDB of EFFECTS_TABLE, to count at";
/// Why a row is left out: the plain clients can't write.
pub(super) const UNSIGNED: &str =
    "the DynamoDB of EFFECTS_TABLE wants signed writes, and a plain client does not sign";

/// What is not measured on these endpoints.
#[derive(Debug, Serialize)]
struct LeftOut {
    what: String,
    why: &'static str,
}

#[derive(Debug, Serialize)]
struct Row {
    what: String,
    unit: &'static str,
    ours: Spread,
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<Beside>,
}

/// The bound of a row, measured in the same rounds.
#[derive(Debug, Serialize)]
struct Beside {
    what: String,
    figure: Spread,
    /// Our figure divided by the bound.
    ratio: Spread,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    /// Whether the ratio's median is within the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
}

/// What a ratio should be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// Some measurements of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Result<Self> {
        ensure!(values.iter().all(|value| value.is_finite()), "not all of {values:?} are numbers");
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = values.first().zip(values.last()).context("nothing was measured")?;
        let upper = values[values.len() / 2];
        let lower = values[(values.len() - 1) / 2];
        Ok(Self { median: f64::midpoint(lower, upper), min: *min, max: *max })
    }
}

impl Target {
    fn is_met(self, ratio: Spread) -> bool {
        match self {
            Self::AtMost(most) => ratio.median <= most,
            Self::AtLeast(least) => ratio.median >= least,
        }
    }
}

impl Report {
    pub(super) fn new() -> Self {
        Self { rows: Vec::new(), left_out: Vec::new(), since: Instant::now() }
    }

    /// Prints what is done next, to the standard error; the table goes to the standard output.
    pub(super) fn next(&self, what: &str) {
        eprintln!("{:>4} s  {what} ...", self.since.elapsed().as_secs());
    }

    /// A row, or a bound of one, that can't be measured here.
    pub(super) fn left_out(&mut self, what: String, why: &'static str) {
        eprintln!("        left out: {what}: {why}");
        self.left_out.push(LeftOut { what, why });
    }

    /// Adds a row without a bound.
    pub(super) fn alone(&mut self, what: String, unit: &'static str, ours: Vec<f64>) -> Result<()> {
        self.add(Row { what, unit, ours: Spread::of(ours)?, beside: None })
    }

    /// Adds a row with its bound: one figure of each for every round.
    pub(super) fn beside(
        &mut self,
        what: String,
        unit: &'static str,
        ours: Vec<f64>,
        bound: impl Into<String>,
        figures: Vec<f64>,
        target: Option<Target>,
    ) -> Result<()> {
        let ratio = Spread::of(ratios(&ours, &figures)?)?;
        let met = target.map(|target| target.is_met(ratio));
        let beside = Beside { what: bound.into(), figure: Spread::of(figures)?, ratio, target, met };
        self.add(Row { what, unit, ours: Spread::of(ours)?, beside: Some(beside) })
    }

    fn add(&mut self, row: Row) -> Result<()> {
        let ours = format!("{:.2} {}", row.ours.median, row.unit);
        let bound =
            row.beside.as_ref().map(|beside| format!("; {}: {:.2}", beside.what, beside.figure.median));
        eprintln!("        {}: {}{}", row.what, ours.trim_end(), bound.unwrap_or_default());
        self.rows.push(row);
        Ok(())
    }

    /// Prints all, as a Markdown table or as JSON.
    pub(super) fn print(&self, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string(self)?);
            return Ok(());
        }
        println!("| what | ours (min–max) | beside it (min–max) | ratio (min–max) | target |");
        println!("|---|---|---|---|---|");
        for Row { what, unit, ours, beside } in &self.rows {
            let ours = format!("{} {unit}", text(ours));
            match beside {
                None => println!("| {what} | {ours} | | | |"),
                Some(Beside { what: bound, figure, ratio, target, met }) => {
                    let figure = format!("{bound}: {} {unit}", text(figure));
                    let target = target.map_or_else(String::new, |target| verdict(target, *met));
                    println!("| {what} | {ours} | {figure} | {} | {target} |", text(ratio));
                }
            }
        }
        for (number, LeftOut { what, why }) in self.left_out.iter().enumerate() {
            println!("{}Left out: {what}: {why}.  ", if number == 0 { "\n" } else { "" });
        }
        Ok(())
    }
}

fn ratios(ours: &[f64], figures: &[f64]) -> Result<Vec<f64>> {
    ensure!(ours.len() == figures.len(), "{} rounds beside {}", ours.len(), figures.len());
    Ok(ours.iter().zip(figures).map(|(ours, figure)| ours / figure).collect())
}

fn verdict(target: Target, met: Option<bool>) -> String {
    let met = if met == Some(true) { "met" } else { "**missed**" };
    match target {
        Target::AtMost(most) => format!("≤ {most}: {met}"),
        Target::AtLeast(least) => format!("≥ {least}: {met}"),
    }
}

fn text(Spread { median, min, max }: &Spread) -> String {
    let digits = if *median < 100.0 { 2 } else { 0 };
    if min == max {
        return format!("{median:.digits$}");
    }
    format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_one_or_between_the_two_middle_ones() {
        assert_eq!(Spread::of(vec![9.0, 1.0, 2.0]).unwrap(), Spread { median: 2.0, min: 1.0, max: 9.0 });
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 9.0]).unwrap().median, 3.0);
        assert!(Spread::of(Vec::new()).is_err());
        assert!(Spread::of(vec![f64::NAN]).is_err());
    }

    #[test]
    fn a_ratio_is_of_the_same_round_and_its_median_decides() {
        let mut report = Report::new();
        // The ratio of the medians, 3 / 2, would miss the target.
        let (ours, bound) = (vec![1.0, 3.0, 8.0], vec![1.0, 2.0, 8.0]);
        report.beside("x".into(), "ms", ours, "y", bound, Some(Target::AtMost(1.0))).unwrap();
        let beside = report.rows[0].beside.as_ref().unwrap();
        assert_eq!((beside.ratio.median, beside.ratio.max, beside.met), (1.0, 1.5, Some(true)));
        assert!(ratios(&[1.0], &[]).is_err());
        assert!(!Target::AtLeast(1.1).is_met(beside.ratio));
    }

    #[test]
    fn what_is_left_out_stands_in_the_report() {
        let mut report = Report::new();
        assert_eq!(serde_json::to_string(&report).unwrap(), r#"{"rows":[]}"#);
        report.left_out("growth".into(), "unsigned");
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(text, r#"{"rows":[],"left_out":[{"what":"growth","why":"unsigned"}]}"#);
    }
}
