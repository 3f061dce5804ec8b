//! Without usable AWS credentials, a command says what to type to get some.

use std::process::Command;

use super::{
    Ended, file,
    operate::{command, refused},
    run,
};

const PROFILES: &str = "
[profile work]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = ops
region = us-east-1
[sso-session corp]
sso_region = us-east-1
sso_start_url = https://corp.example.com/start
[profile chained]
role_arn = arn:aws:iam::123456789012:role/ops
source_profile = work
region = us-east-1
[profile vault]
credential_process = /bin/false
region = us-east-1
";

/// `list`, on a machine with these profiles and nothing else.
fn list(config: &str, args: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_webhooks"));
    command.env_clear().env("AWS_CONFIG_FILE", config).env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command.env("AWS_EC2_METADATA_DISABLED", "true").args(["list", "--table", "effects"]);
    run(command.args(args))
}

#[test]
fn what_only_the_aws_cli_can_have_is_told_with_the_command_that_has_it() {
    let (_folder, config) = file("config", PROFILES);
    for (name, login) in [("work", true), ("chained", true), ("vault", false)] {
        let ended = list(&config, &["--profile", name]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{}", ended.err);
        let eval = format!("eval \"$(aws configure export-credentials --profile {name} --format env)\"");
        assert!(ended.err.trim_end().ends_with(&eval), "{}", ended.err);
        assert_eq!(ended.err.contains(&format!("aws sso login --profile {name}")), login, "{}", ended.err);
    }
    let none = list(&config, &["--profile", "unknown", "--region", "us-east-1"]);
    assert!(none.code == Some(2) && none.err.contains("name a --profile"), "{}", none.err);
    assert!(none.err.contains("profile `unknown` was not defined"), "{}", none.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn once_they_are_in_the_environment_the_same_command_works() {
    let (stack, effect) = refused().await;
    let (_folder, config) = file("config", PROFILES);
    let mut command = command(&stack, &["list", "--profile", "work"]);
    command.env("AWS_CONFIG_FILE", config);
    let listed = tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap();
    assert_eq!(listed.code, Some(0), "{}", listed.err);
    listed.says(&[effect.record["business_key"].as_str().unwrap()]);
    stack.finish().await.unwrap();
}
