//! Small charts of the last hour. Each bar is a link to what it counts. Charting libraries only draw pictures, so this draws them.

use driftq_webhooks::effects::runs::ConsumerRun;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::{
    glance::{HOUR, RUNS},
    show::{length, to},
};

const BARS: usize = 60;
const HEIGHT: f64 = 40.0;

/// How much was done, from the first known run until now.
#[derive(Debug)]
pub(super) struct Chart {
    began: Timestamp,
    span: SignedDuration,
    bars: Vec<f64>,
}

impl Chart {
    /// Spreads a run's work evenly over its duration.
    pub(super) fn of(runs: &[ConsumerRun], what: fn(&ConsumerRun) -> u64, now: Timestamp) -> Self {
        let hour = now - HOUR;
        // If there were more runs than were read, only the period of those that were read is known.
        let known = runs.last().map_or(hour, |run| run.began_at.max(hour));
        let began = if runs.len() >= usize::from(RUNS) { known } else { hour };
        let span = now.duration_since(began).max(SignedDuration::from_secs(1));
        let mut bars = vec![0.0; BARS];
        let place = |time: Timestamp| {
            let share = time.duration_since(began).as_secs_f64() / span.as_secs_f64();
            ((share * BARS as f64) as usize).min(BARS - 1)
        };
        for run in runs {
            let (first, last) = (place(run.began_at.max(began)), place(run.written_at.max(began)));
            let share = what(run) as f64 / (last - first + 1) as f64;
            bars[first..=last].iter_mut().for_each(|bar| *bar += share);
        }
        Self { began, span, bars }
    }

    /// The rate over the last five minutes: per second, or per minute if it is low.
    pub(super) fn rate(&self) -> (String, &'static str) {
        let bar = self.span.as_secs_f64() / BARS as f64;
        let bars = ((300.0 / bar).ceil() as usize).clamp(1, BARS);
        let rate = self.bars[BARS - bars..].iter().sum::<f64>() / (bar * bars as f64);
        let (rate, unit) = if rate < 1.0 { (rate * 60.0, "minute") } else { (rate, "second") };
        (format!("{rate:.1}"), unit)
    }
}

/// Draws the chart.
pub(super) fn chart(title: &str, chart: &Chart, state: &str) -> Markup {
    let most = chart.bars.iter().copied().fold(1.0, f64::max);
    let width = SignedDuration::from_millis_i128(chart.span.as_millis() / BARS as i128);
    html! {
        figure {
            svg viewBox=(format!("0 0 {} {HEIGHT}", BARS * 4)) preserveAspectRatio="none" role="img"
                aria-label=(format!("{title} in the last {}", length(chart.span))) {
                @for (index, bar) in chart.bars.iter().enumerate() {
                    @if *bar > 0.0 {
                        @let height = (bar / most * HEIGHT).max(1.0);
                        @let at = chart.began + width * i32::try_from(index).unwrap_or_default();
                        a href=(to("webhooks", &[("state", state), ("since", &at.to_string()), ("until", &(at + width).to_string())])) {
                            rect x=(index * 4) y=(format!("{:.1}", HEIGHT - height)) width="3" height=(format!("{height:.1}")) {
                                title { (format!("{:.0}, {}", bar, at.strftime("%H:%M:%SZ"))) }
                            }
                        }
                    }
                }
            }
            figcaption { (title) ", last " (length(chart.span)) }
        }
    }
}
