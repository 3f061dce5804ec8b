//! `up` and `send`: own secrets, several at once, and duplicates.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use local::{
    config::API_KEY, config::Config, provider_api::stripe, server::ANY_PORT, third_party::ThirdParty,
    webhook::Webhook,
};
use tempfile::TempDir;

use super::{Ended, PATIENCE, functions, run, stop};

/// How long `up` may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// A folder with a binary of its own, so that it does not find an `up` that was started from elsewhere.
struct Place {
    folder: TempDir,
    functions: PathBuf,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::hard_link(env!("CARGO_BIN_EXE_webhooks"), folder.path().join("webhooks")).unwrap();
        fs::create_dir(folder.path().join("elsewhere")).unwrap();
        let functions = match env::var_os("FUNCTIONS_DIR").filter(|dir| !dir.is_empty()) {
            Some(dir) => dir.into(),
            None => functions().await.ingest.parent().unwrap().to_owned(),
        };
        Self { folder, functions }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.folder.path().join("webhooks"));
        command.args(args).current_dir(self.folder.path()).env("FUNCTIONS_DIR", &self.functions);
        command
    }

    fn send(&self, args: &[&str]) -> Ended {
        run(self.command(&["send"]).args(args))
    }

    /// Starts `up`, with these variables in addition.
    fn up(&self, args: &[&str], env: &[(&str, &str)]) -> Up {
        let mut command = self.command(&["up"]);
        command.args(args).envs(env.iter().copied()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut up = Up { child, lines, greeting: String::new(), url: String::new() };
        up.greeting = up.until("curl -i ");
        up.url = up.greeting.split("POST ").nth(1).unwrap().split("/webhooks/").next().unwrap().to_owned();
        up
    }
}

struct Up {
    child: Child,
    lines: Receiver<String>,
    greeting: String,
    url: String,
}

impl Up {
    /// All lines up to the first one that contains this text.
    #[track_caller]
    fn until(&self, text: &str) -> String {
        let mut all = String::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("{text:?} does not come; there came\n{all}"));
            all = all + &line + "\n";
            if line.contains(text) {
                return all;
            }
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            stop(self.child.id());
        }
        // It closes its output when it ends. If it does not end, it is killed, so that no test waits for ever.
        let began = Instant::now();
        let ends = || self.lines.recv_timeout(GRACE.saturating_sub(began.elapsed()));
        while ends().is_ok() {}
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn own_secrets_win_and_a_duplicate_is_called_one() {
    let place = Place::new().await;
    place.write(".env", "STRIPE_WEBHOOK_SECRET='whsec_mine'\n");
    let up = place.up(&[], &[("GITHUB_WEBHOOK_SECRET", "mine")]);
    for line in [
        format!("POST {}/webhooks/billing  STANDARD_WEBHOOK_SECRET generated\n", up.url),
        format!("POST {}/webhooks/github   GITHUB_WEBHOOK_SECRET from the environment\n", up.url),
        format!("POST {}/webhooks/stripe   STRIPE_WEBHOOK_SECRET from .env\n", up.url),
        "open_ticket    POST tickets.example.com: answered by the third party below\n".to_owned(),
    ] {
        assert!(up.greeting.contains(&line), "{line}\n{}", up.greeting);
    }
    let sample = "stripe.charge.dispute.created";
    let first = place.send(&[sample]);
    assert_eq!((first.code, first.out.lines().count()), (Some(0), 1), "{}{}", first.out, first.err);
    up.until("applied as");
    up.until("an effect is done");
    let listed = run(place.command(&["list"]).env_remove("EFFECTS_TABLE"));
    listed.says(&["done", "stripe", "open_ticket", "du_1SkPrT2eZvKYlo2CqWn8sLd4"]);
    let again = place.send(&[sample]);
    assert_eq!(again.code, Some(0));
    again.says(&["202 ", "duplicate: open_ticket du_1SkPrT2eZvKYlo2CqWn8sLd4 was there already, done\n"]);
    let shown = run(&mut place.command(&["show", "du_1SkPrT2eZvKYlo2CqWn8sLd4"]));
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    shown.says(&["open_ticket", "done"]);
    let other = place.send(&[sample, "--new-id"]);
    assert_eq!((other.code, other.out.lines().count()), (Some(0), 1), "{}{}", other.out, other.err);

    let elsewhere = place.folder.path().join("elsewhere");
    let without = run(place.command(&["send", sample]).current_dir(elsewhere));
    assert_eq!(without.code, Some(2));
    assert!(without.err.contains("`up` has a STRIPE_WEBHOOK_SECRET of your own"), "{}", without.err);
}

/// Real events of a provider that can't reach this machine.
#[tokio::test(flavor = "multi_thread")]
async fn fetched_events_are_posted_to_the_running_up() {
    let (place, stripe) = (Place::new().await, stripe::start().await.unwrap());
    assert!(!stripe.send(Webhook::sample("stripe.charge.dispute.created").unwrap()).await, "it knows no URL");
    let mut config = Config::shipped().unwrap();
    let asked = format!("every = '15m'\nkey = 'STRIPE_API_KEY'\nurl = '{}'", stripe.url());
    let source = config.table()["sources"]["stripe"].as_table_mut().unwrap();
    source.insert("reconcile".into(), asked.parse::<toml::Table>().unwrap().into());
    let path = place.write("webhooks.toml", &config.to_string());
    place.write(".env", &format!("STRIPE_API_KEY={API_KEY}\n"));
    let up = place.up(&[], &[("WEBHOOKS_CONFIG", path.to_str().unwrap())]);
    let fetched = run(&mut place.command(&["fetch", "stripe", "--since", "2h"]));
    assert_eq!(fetched.code, Some(0), "{}", fetched.err);
    assert!(fetched.out.trim().ends_with("charge.dispute.created: 202"), "{}", fetched.out);
    up.until("an effect is done");
}

#[tokio::test]
async fn several_can_run_at_once() {
    let place = Place::new().await;
    let one = place.up(&["--persist", "data"], &[]);
    let same_data = run(&mut place.command(&["up", "--persist", "data"]));
    assert_eq!(same_data.code, Some(2));
    assert!(same_data.err.contains("another `up` keeps its data in data"), "{}", same_data.err);
    let mut two = place.up(&[], &[]);
    let whose = run(&mut place.command(&["list"]));
    assert!(whose.code == Some(2) && whose.err.contains("several `up` run"), "{}", whose.err);
    let unclear = place.send(&["github.issues.opened"]);
    assert_eq!(unclear.code, Some(2));
    for url in [&one.url, &two.url] {
        assert!(unclear.err.contains(&format!("--url {url}  (")), "{}", unclear.err);
    }
    assert_eq!(place.send(&["github.issues.opened", "--url", &two.url]).code, Some(0));
    two.until("applied as");
    two.child.kill().unwrap(); // SIGKILL: it leaves its note behind
    two.child.wait().unwrap();
    let sent = place.send(&["stripe.charge.dispute.created"]);
    assert_eq!(sent.code, Some(0), "{}", sent.err);
    let heard = one.until("applied as");
    assert!(!heard.contains("github"), "{heard}");
}

#[tokio::test]
async fn a_body_alone_is_sent_as_its_source_would() {
    let place = Place::new().await;
    let up = place.up(&[], &[]);
    let issue = r#"{"action":"opened","issue":{"number":7,"title":"T","html_url":"u","user":{"login":"l"}},"repository":{"full_name":"o/r"}}"#;
    let path = place.write("issue.json", issue).display().to_string();
    assert_eq!(place.send(&[&path]).code, Some(2), "whose is it?");
    let sent = place.send(&[&path, "--source", "github", "--header", "x-github-event: issues"]);
    assert_eq!(sent.code, Some(0), "{}", sent.err);
    sent.says(&["tell_slack:o/r#7"]);
    up.until("applied as");
    let forged = place.send(&["forged.github.issues.opened"]);
    assert_eq!(forged.code, Some(1));
    forged.says(&["401 "]);
}

/// Calls whose URL is on this machine go there, whatever the host is called. All others go to their real address only if
/// `--real` asks for that.
#[tokio::test(flavor = "multi_thread")] // the third party is in this process
async fn calls_go_where_the_greeting_says() {
    let place = Place::new().await;
    let tickets = ThirdParty::start(ANY_PORT).await.unwrap();
    let port = tickets.url().rsplit_once(':').unwrap().1.to_owned();
    let shipped = Config::shipped().unwrap().to_string();
    let text = shipped.replace("https://tickets.example.com", &format!("http://localhost:{port}"));
    let path = place.write("mine.toml", &text).display().to_string();
    let env = [("WEBHOOKS_CONFIG", &*path), ("TICKETS_TOKEN", "mine"), ("SLACK_TOKEN", "mine")];
    let up = place.up(&["--real", "tell_slack"], &env);
    for line in [
        format!("open_ticket    POST localhost:{port}: on this machine, unchanged\n"),
        "tell_slack     POST slack.example.com: the real third party, SLACK_TOKEN from the environment\n"
            .to_owned(),
        "triage_issue   POST llm.example.com: answered by the third party below\n".to_owned(),
    ] {
        assert!(up.greeting.contains(&line), "{line}\n{}", up.greeting);
    }
    assert_eq!(place.send(&["stripe.charge.dispute.created"]).code, Some(0));
    up.until("an effect is done");
    let calls = tickets.ledger().attempts().to_vec();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].headers["authorization"], "Bearer mine");
}

#[test]
fn a_real_call_needs_a_real_secret() {
    let folder = tempfile::tempdir().unwrap();
    let up = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_webhooks"));
        run(command.arg("up").args(args).current_dir(folder.path()).env("SLACK_TOKEN", "mine"))
    };
    let all = up(&["--real", "all"]);
    assert_eq!(all.code, Some(2));
    let missing = "set EMAIL_TOKEN, LLM_TOKEN, PAYMENTS_TOKEN, TICKETS_TOKEN in the environment or in .env";
    assert!(all.err.contains(missing), "{}", all.err);
    let unknown = up(&["--real", "nope"]);
    assert!(unknown.code == Some(2) && unknown.err.contains("known are open_ticket"), "{}", unknown.err);
    fs::write(folder.path().join(".env"), "OOPS whsec_very_secret\n").unwrap();
    let malformed = up(&[]);
    assert_eq!(malformed.code, Some(2));
    assert!(malformed.err.contains(".env:1: not NAME=value"), "{}", malformed.err);
    assert!(!malformed.err.contains("very_secret"), "{}", malformed.err);
}
