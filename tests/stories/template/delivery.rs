//! Deployment without `sam deploy`: the workflow of GitHub Actions, Terraform, and CloudFormation without an upload.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::{file::parse, read, stages::stages};

/// The workflow needs no input, stores no key, and deploys all stages from one build.
#[test]
fn the_workflow_deploys_without_prompts_or_keys() -> Result<()> {
    let workflow = read(".github/workflows/deploy.yml")?;
    assert!(!workflow.contains("SECRET") && !workflow.contains("secrets."), "keys are stored");
    let workflow = parse(".github/workflows/deploy.yml")?;
    assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read", "id-token": "write" }));
    let stages: BTreeSet<_> = stages()?.into_iter().map(|(stage, _)| stage).collect();
    let jobs = workflow["jobs"].as_object().context("no jobs")?;
    let mut builds = 0;
    for (job, definition) in jobs {
        let steps = definition["steps"].as_array().context(job.clone())?;
        let runs: Vec<_> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
        builds += runs.iter().filter(|run| run.starts_with("sam build")).count();
        for run in runs.iter().filter(|run| run.starts_with("sam deploy")) {
            // The job is named after its stage.
            assert!(stages.contains(job) && run.contains("--config-env \"$GITHUB_JOB\""), "{job}: {run}");
            assert!(run.contains("--no-confirm-changeset") && run.contains("packaged.yaml"), "{job}: {run}");
        }
        assert!(definition["environment"].is_string(), "{job} may use the role of no environment");
        let mut roles = steps.iter().map(|step| &step["with"]["role-to-assume"]);
        assert!(roles.any(|role| role == "${{ vars.AWS_ROLE_ARN }}"), "{job} has no role by OIDC");
    }
    assert_eq!(builds, 1);
    assert_eq!(jobs["prod"]["needs"], "default", "what goes to prod has been deployed before");
    assert_eq!(workflow["concurrency"]["cancel-in-progress"], false, "no deployment is cut off");
    assert!(stages.iter().all(|stage| jobs.contains_key(stage)), "{stages:?}");
    Ok(())
}

/// The runner has the Rust target of its own architecture, and all stages use its build.
#[test]
fn the_workflow_builds_for_the_architecture_of_every_stage() -> Result<()> {
    let runner = parse(".github/workflows/deploy.yml")?["jobs"]["build"]["runs-on"].to_string();
    let built = if runner.contains("-arm") { "arm64" } else { "x86_64" };
    for (stage, file) in stages()? {
        assert_eq!(parse(&file)?["Architecture"], built, "{stage}");
    }
    Ok(())
}

/// Terraform creates the templates' stacks, so only names can differ.
#[test]
fn terraform_makes_both_templates() -> Result<()> {
    let module = read("terraform/main.tf")?;
    assert_eq!(
        module.matches("resource \"").count(),
        module.matches("resource \"aws_cloudformation_stack\"").count()
    );
    assert!(module.contains("file(\"${path.module}/../driftq.yaml\")"));
    for promised in [
        "length(var.name) <= 48",
        // Resources of the template have roles, and SAM's transform is applied.
        "[\"CAPABILITY_IAM\", \"CAPABILITY_AUTO_EXPAND\"]",
        "merge(local.of_stage, local.of_broker, var.parameters)",
        "prevent_destroy = true",
    ] {
        assert!(module.contains(promised), "{promised}");
    }
    let (functions, broker) = (parse("template.yaml")?, parse("driftq.yaml")?);
    let (_, rest) = module.split_once("for name in [").context("nothing is passed on")?;
    let (names, _) = rest.split_once(']').context("nothing is passed on")?;
    for name in names.split(',').map(|name| name.trim().trim_matches('"')) {
        assert!(!broker["Outputs"][name].is_null() && !functions["Parameters"][name].is_null(), "{name}");
    }
    Ok(())
}

/// A template must fit as it is, for its validation, and as JSON without spaces, which is how Terraform sends the
/// packaged template.
#[test]
fn cloudformation_takes_the_template_without_an_upload() -> Result<()> {
    // https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
    const LIMIT: usize = 51_200;
    // The addresses of both functions' code.
    const CODE: usize = 2 * 256;
    for file in ["template.yaml", "driftq.yaml"] {
        let bytes = read(file)?.len();
        assert!(bytes <= LIMIT, "{file} has {bytes} bytes, {} too many", bytes - LIMIT);
        let json = parse(file)?.to_string().len() + CODE;
        assert!(json <= LIMIT, "{file} has {json} bytes as JSON");
    }
    let module = read("terraform/main.tf")?;
    let sent = "template_body = jsonencode(jsondecode(file(var.template_file)))";
    assert!(module.contains(sent), "Terraform sends it so");
    Ok(())
}

/// The checks at GitHub are the same as on any machine, and need no key.
#[test]
fn the_workflow_for_changes_runs_what_runs_here() -> Result<()> {
    let workflow = parse(".github/workflows/ci.yml")?;
    assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read" }));
    let steps = workflow["jobs"]["run"]["steps"].as_array().context("no steps")?;
    assert_eq!(steps.iter().filter(|step| step["run"] == ".ci/run").count(), 1);
    let manifest: toml::Table = read("Cargo.toml")?.parse()?;
    let version = manifest["workspace"]["package"]["rust-version"].as_str().context("no version")?;
    let toolchain: toml::Table = read("rust-toolchain.toml")?.parse()?;
    let channel = toolchain["toolchain"]["channel"].as_str().context("no channel")?;
    assert_eq!(channel, format!("{version}.0"), "the oldest Rust that is supported");
    assert_eq!(steps.iter().filter(|step| step["run"] == "rustup toolchain install").count(), 1);
    Ok(())
}
