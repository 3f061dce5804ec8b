//! The output of the demo.

use std::time::Instant;

use serde_json::Value;

/// Prints the demo line by line.
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

    /// Prints the title of a new act.
    pub(crate) fn act(&mut self, title: &str) {
        self.acts += 1;
        self.print(&format!("\n{}. {title}", self.acts));
    }

    /// Prints an event.
    pub(crate) fn line(&self, text: &str) {
        self.print(&format!("   {:>5.1} s  {text}", self.began.elapsed().as_secs_f32()));
    }

    /// Prints the outcome, in one of its two forms.
    pub(crate) fn end(&self, text: &str, json: &Value) {
        if self.json {
            println!("{json}");
        } else {
            println!("\n{text}");
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
