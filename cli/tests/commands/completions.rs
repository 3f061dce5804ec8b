//! Shells complete commands and options.

use std::process::Command;

use super::{file, run, webhooks};

#[test]
fn each_script_contains_every_command() {
    for (shell, begins) in
        [("bash", "_webhooks"), ("zsh", "#compdef webhooks"), ("fish", ""), ("powershell", "")]
    {
        let script = webhooks(&["completions", shell]);
        assert_eq!(script.code, Some(0), "{}", script.err);
        assert!(script.out.starts_with(begins), "{shell}: {}", &script.out[..80]);
        for word in ["redrive", "export", "completions", "--region"] {
            let word = if shell == "fish" { word.trim_start_matches('-') } else { word };
            assert!(script.out.contains(word), "{shell} does not know {word}");
        }
    }
    assert_eq!(webhooks(&["completions", "cmd"]).code, Some(2));
}

#[test]
fn bash_completes_commands_options_and_values() {
    let (_folder, script) = file("webhooks.bash", &webhooks(&["completions", "bash"]).out);
    let completed = |line: &str| {
        let ask = format!(
            "source {script}; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _webhooks webhooks \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let ended = run(Command::new("bash").args(["--norc", "-c", &ask]));
        assert_eq!(ended.code, Some(0), "{line}: {}", ended.err);
        ended.out.trim().to_owned()
    };
    for (line, expected) in [
        ("webhooks redr", "redrive"),
        ("webhooks export --sin", "--since"),
        ("webhooks decide not", "not-applied"),
    ] {
        assert_eq!(completed(line), expected, "{line}");
    }
}
