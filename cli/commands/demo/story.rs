//! How the demo is told.

use std::time::Instant;

use super::tally::Outcome;

/// A story told line by line.
#[derive(Debug)]
pub(crate) struct Story {
    json: bool,
    acts: usize,
    began: Instant,
}

impl Story {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, acts: 0, began: Instant::now() }
    }

    /// A new act.
    pub(crate) fn act(&mut self, title: &str) {
        self.acts += 1;
        self.print(&format!("\n{}. {title}", self.acts));
    }

    /// Something that happened.
    pub(crate) fn line(&self, text: &str) {
        self.print(&format!("   {:>5.1} s  {text}", self.began.elapsed().as_secs_f32()));
    }

    /// The last word.
    pub(crate) fn end(&self, outcome: &Outcome) {
        if self.json {
            println!("{}", outcome.json());
        } else {
            println!("\n{outcome}");
        }
    }

    fn print(&self, text: &str) {
        if self.json {
            eprintln!("{text}");
        } else {
            println!("{text}");
        }
    }
}
