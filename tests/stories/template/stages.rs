//! Stages: where the parameters of a stack are, so that a build, a deployment and the next one all have the same.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;
use toml::Table;

use super::{file::parse, read};

/// Each stage of `samconfig.toml`, with its file of parameters.
pub(super) fn stages() -> Result<Vec<(String, String)>> {
    let config: Table = read("samconfig.toml")?.parse()?;
    let stages = config.into_iter().filter(|(_, stage)| stage.is_table());
    let file = |(name, stage): (String, toml::Value)| {
        // In the section `global`, so that sam build reads it as well as sam deploy.
        let overrides =
            stage["global"]["parameters"]["parameter_overrides"].as_str().context(name.clone())?;
        for (command, settings) in stage.as_table().context(name.clone())? {
            let own = settings["parameters"].get("parameter_overrides").is_some();
            assert!(command == "global" || !own, "{name} has other parameters for {command}");
        }
        Ok((name.clone(), overrides.strip_prefix("file://").context(name)?.to_owned()))
    };
    stages.map(file).collect()
}

#[test]
fn a_build_and_a_deployment_have_the_same_parameters() -> Result<()> {
    let template = parse("template.yaml")?;
    let declared = template["Parameters"].as_object().context("no parameters")?;
    let required = declared.iter().filter(|(_, it)| it["Default"].is_null()).map(|(name, _)| name);
    let required: BTreeSet<_> = required.collect();
    let stages = stages()?;
    assert_eq!(stages.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["default", "prod"]);
    for (stage, file) in stages {
        let given = parse(&file)?;
        let given = given.as_object().context(file.clone())?;
        assert!(required.iter().all(|name| given.contains_key(*name)), "{stage} lacks one of {required:?}");
        for (name, value) in given {
            let parameter = declared.get(name).with_context(|| format!("{file}: no parameter {name}"))?;
            let allowed = parameter["AllowedValues"].as_array();
            assert!(allowed.is_none_or(|all| all.contains(value)), "{file}: {name} is {value}");
        }
        assert_eq!(given["ProtectTable"], "false", "{file} is for a first deployment");
    }
    assert_eq!(declared["ProtectTable"]["Default"], "true", "who says nothing has a table to protect");
    Ok(())
}

#[test]
fn each_output_that_a_page_asks_for_is_there() -> Result<()> {
    let template = parse("template.yaml")?;
    let outputs = template["Outputs"].as_object().context("no outputs")?;
    let mut asked = 0;
    for page in ["README.md", "docs/deploy.md", "docs/operate.md", "docs/providers.md"] {
        let text = read(page)?;
        let names = text.split("output ").skip(1).filter_map(|rest| rest.split([')', ' ', '\n']).next());
        let names = names.map(|name| name.trim_matches('`'));
        let named = names.filter(|name| name.len() > 6 && name.starts_with(|c: char| c.is_ascii_uppercase()));
        for name in named {
            asked += 1;
            assert!(outputs.contains_key(name), "{page} asks for the output {name}");
        }
    }
    assert!(asked >= 5, "{asked}");
    Ok(())
}

/// A first deployment that fails leaves nothing behind; any later one keeps what it must.
#[test]
fn what_must_outlive_its_stack_does_unless_that_was_never_made() -> Result<()> {
    for (file, kind) in [("template.yaml", "AWS::DynamoDB::Table"), ("driftq.yaml", "AWS::EFS::FileSystem")] {
        let template = parse(file)?;
        let resources = template["Resources"].as_object().context("no resources")?;
        let kept = resources.values().find(|it| it["Type"] == kind).context(kind)?;
        let policies = [&kept["DeletionPolicy"], &kept["UpdateReplacePolicy"]].map(Value::as_str);
        assert_eq!(policies, [Some("RetainExceptOnCreate"), Some("Retain")], "{kind}");
    }
    Ok(())
}

/// SAM asks for such a parameter again at each guided deployment; secrets are in Secrets Manager.
#[test]
fn no_parameter_is_a_secret() -> Result<()> {
    for file in ["template.yaml", "driftq.yaml"] {
        let template = parse(file)?;
        let parameters = template["Parameters"].as_object().context("no parameters")?;
        assert!(parameters.values().all(|it| it["NoEcho"].is_null()), "{file}");
    }
    Ok(())
}

/// An account that demands a boundary refuses every role without one.
#[test]
fn every_role_can_have_a_permissions_boundary() -> Result<()> {
    let boundary = serde_json::json!(
        { "Fn::If": ["HasBoundary", { "Ref": "PermissionsBoundaryArn" }, { "Ref": "AWS::NoValue" }] }
    );
    let (functions, broker) = (parse("template.yaml")?, parse("driftq.yaml")?);
    assert_eq!(functions["Globals"]["Function"]["PermissionsBoundary"], boundary);
    let schedule = &functions["Resources"]["ConsumerFunction"]["Properties"]["Events"]["EveryMinute"];
    assert_eq!(schedule["Properties"]["PermissionsBoundary"], boundary);
    let resources = broker["Resources"].as_object().context("no resources")?;
    for role in resources.values().filter(|it| it["Type"] == "AWS::IAM::Role") {
        assert_eq!(role["Properties"]["PermissionsBoundary"], boundary);
    }
    Ok(())
}

/// A release refers to its alarm by name, since a reference would make a circle. So the names must be the same, or
/// nothing rolls a release back.
#[test]
fn a_release_is_rolled_back_by_an_alarm_that_is_there() -> Result<()> {
    let template = parse("template.yaml")?;
    let resources = &template["Resources"];
    let release = &resources["IngestFunction"]["Properties"]["DeploymentPreference"];
    assert_eq!(release["Alarms"][0], resources["IngestErrorsAlarm"]["Properties"]["AlarmName"]);
    assert_eq!(release["Hooks"]["PreTraffic"]["Ref"], "ReleaseCheck");
    // CodeDeploy may invoke functions of this prefix only.
    let name = &resources["ReleaseCheck"]["Properties"]["FunctionName"]["Fn::Sub"];
    assert_eq!(*name, "CodeDeployHook_${AWS::StackName}");
    // Otherwise a deployment that changes only a variable would make no new version, and no function would get the
    // new value.
    assert_eq!(resources["IngestFunction"]["Properties"]["AutoPublishAliasAllProperties"], true);
    Ok(())
}
