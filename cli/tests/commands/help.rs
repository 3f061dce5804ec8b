//! Every `--help` has two examples, and invalid usage has exit code 2.

use super::webhooks;

#[test]
fn every_command_has_help_with_two_examples() {
    let help = webhooks(&["--help"]);
    let commands = help.out.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let names = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    let names: Vec<_> = names.filter(|name| *name != "help").collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        let help = webhooks(&[name, "--help"]);
        let examples = help.out.split_once("Examples").map_or("", |(_, examples)| examples);
        let examples = examples.matches(&format!("cargo webhooks {name}")).count();
        assert!(help.code == Some(0) && examples >= 2, "{name}: {}", help.out);
    }
}

#[test]
fn invalid_arguments_are_a_usage_error() {
    for args in [&[][..], &["chek"], &["check", "--jsno"], &["check", "no/such/file"]] {
        let ended = webhooks(args);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{args:?}: {}", ended.err);
        assert!(!ended.err.contains('\x1b'), "not a terminal: {:?}", ended.err);
    }
}
