//! The commands through the built binary: its output and its exit codes.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod browser;
mod check;
mod completions;
mod console;
mod costs;
mod credentials;
mod export;
mod help;
mod operate;
mod reconcile;
mod redrive;
mod send;
mod r#try;
mod up;

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::channel,
    thread,
    time::Duration,
};

use local::{
    functions::Functions,
    stack::{Builder, Stack},
};
use serde_json::Value;
use tokio::sync::OnceCell;

/// A time limit that no command here needs.
const PATIENCE: Duration = Duration::from_secs(40);

/// The functions, built once.
async fn functions() -> Functions {
    static FUNCTIONS: OnceCell<Functions> = OnceCell::const_new();
    FUNCTIONS.get_or_init(async || Functions::find().await.unwrap()).await.clone()
}

/// A stack that fails its test if it is dropped before the test has checked what it left.
async fn builder() -> Builder {
    Stack::builder().must_settle(true).functions(functions().await).env("IDLE_EXIT", "400ms")
}

/// Sends SIGTERM, as a shell does, so that the process can also end the processes that it has started.
fn stop(process: u32) {
    let _ = Command::new("kill").arg(process.to_string()).status();
}

/// How a command ended.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// `cargo webhooks …`, in the workspace's root.
fn webhooks(args: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_webhooks"));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
    run(command.args(args))
}

fn run(command: &mut Command) -> Ended {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (id, (sender, ended)) = (child.id(), channel());
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(PATIENCE) else {
        stop(id);
        panic!("{command:?} does not end")
    };
    let output = output.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

impl Ended {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }

    /// Asserts that the output has each of these texts, in this order.
    #[track_caller]
    fn says(&self, texts: &[&str]) {
        let mut rest = self.out.as_str();
        for text in texts {
            let Some((_, after)) = rest.split_once(text) else {
                panic!("{text:?} does not follow in\n{}{}", self.out, self.err)
            };
            rest = after;
        }
    }
}

/// A file with that text, for as long as the folder is kept.
fn file(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path.display().to_string())
}
