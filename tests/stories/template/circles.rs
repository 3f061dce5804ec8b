//! Resources that refer to each other in a circle can't be created, and only CloudFormation would say so.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::Value;

use super::file::Template;

/// The logical ids that a definition refers to: `!Ref X`, `!GetAtt X.Arn` and `!Sub ${X.Arn}/…`.
fn references(definition: &Value, found: &mut BTreeSet<String>) {
    let id = |text: &str| text.split('.').next().unwrap_or_default().to_owned();
    match definition {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("Ref" | "Fn::GetAtt", Value::String(text)) => found.extend([id(text)]),
                    ("Fn::Sub", Value::String(text)) => {
                        found.extend(
                            text.split("${").skip(1).filter_map(|rest| rest.split('}').next()).map(id),
                        );
                    }
                    _ => references(value, found),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn no_resource_needs_itself() -> Result<()> {
    let template = Template::shipped()?;
    let mut needs: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let releases: Vec<_> = template.all().map(|(id, _)| format!("{id}'s release")).collect();
    for ((id, definition), release) in template.all().zip(&releases) {
        let mut definition = definition.clone();
        // The deployment preference belongs to the alias that SAM makes, and not to the function.
        let preference = definition["Properties"]["DeploymentPreference"].take();
        references(&preference, needs.entry(release).or_default());
        references(&definition, needs.entry(id).or_default());
    }
    // Those whose needs are met can be created; at the end that must be all of them.
    let mut created = BTreeSet::new();
    loop {
        let waits = |need: &String| needs.contains_key(need.as_str()) && !created.contains(need.as_str());
        let next: Vec<&str> = needs
            .iter()
            .filter(|(id, needs)| !created.contains(*id) && !needs.iter().any(waits))
            .map(|(id, _)| *id)
            .collect();
        if next.is_empty() {
            break;
        }
        created.extend(next);
    }
    let circle: Vec<_> = needs.keys().filter(|id| !created.contains(*id)).collect();
    assert!(circle.is_empty(), "in a circle, or behind one: {circle:?}");
    Ok(())
}
