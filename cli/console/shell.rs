//! The frame of every page: the head, the list of screens, and the search box.

use maud::{DOCTYPE, Markup, html};

use super::App;

/// The style sheet of every page.
pub(super) const STYLE: &str = include_str!("console.css");
/// The only script: it inserts what has changed. Every page works without it if it is reloaded.
pub(super) const SCRIPT: &str = include_str!("live.js");

/// The screens and their paths.
const SCREENS: [(&str, &str); 5] = [
    ("Now", "./"),
    ("Webhooks", "webhooks"),
    ("Parked", "parked"),
    ("Destinations", "destinations"),
    ("Flow", "flow"),
];

/// A whole page around its three parts: the static part above, the part that is updated, and the static part below.
pub(super) fn page(app: &App, name: &str, [above, live, below]: [Markup; 3]) -> Markup {
    let title =
        if name.is_empty() { "driftq-webhooks".to_owned() } else { format!("{name} · driftq-webhooks") };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="stylesheet" href="console.css";
                link rel="icon" href="icon.svg";
                script src="live.js" defer {}
            }
            body {
                a.skip href="#live" { "To the content" }
                header {
                    p.about {
                        strong { (app.about.name) }
                        " · " (app.about.who)
                        @if app.about.read_only { " · read-only" }
                        span #news {}
                    }
                    nav aria-label="Screens" {
                        @for (screen, to) in SCREENS {
                            a href=(to) aria-current=[(screen == name).then_some("page")] { (screen) }
                        }
                    }
                    form.search role="search" action="search" {
                        input type="search" name="id" placeholder="Any id or key" aria-label="Any id or key" required;
                        button { "Find" }
                    }
                }
                main {
                    @if !name.is_empty() { h1 { (name) } }
                    (above)
                    div #live tabindex="-1" { (live) }
                    (below)
                }
            }
        }
    }
}
