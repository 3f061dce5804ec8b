//! A template, read as CloudFormation does: `!Ref X` is `{"Ref": "X"}`, and `!Sub` is `{"Fn::Sub": …}`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use yaml_serde::Value as Yaml;

use super::read;

/// A CloudFormation template.
pub(super) struct Template(Value);

impl Template {
    /// `template.yaml`: the functions.
    pub(super) fn shipped() -> Result<Self> {
        Ok(Self(parse("template.yaml")?))
    }

    /// All resources, each with its logical id.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Value)> {
        let resources = self.0["Resources"].as_object().into_iter().flatten();
        resources.map(|(id, it)| (id.as_str(), it))
    }

    /// The resources of a type, each with its logical id.
    pub(super) fn resources(&self, kind: &str) -> impl Iterator<Item = (&str, &Value)> {
        self.all().filter(move |(_, it)| it["Type"] == kind)
    }

    /// The function built from that binary.
    pub(super) fn function(&self, binary: &str) -> Result<&Value> {
        let mut functions = self.resources("AWS::Serverless::Function");
        let built_from = |it: &Value| it["Metadata"]["BuildProperties"]["Binary"] == binary;
        let (_, function) = functions.find(|(_, it)| built_from(it)).context(binary.to_owned())?;
        Ok(&function["Properties"])
    }

    /// Its outputs' values.
    pub(super) fn outputs(&self) -> impl Iterator<Item = &str> {
        let outputs = self.0["Outputs"].as_object().into_iter().flatten();
        outputs.filter_map(|(_, output)| output["Value"]["Fn::Sub"].as_str())
    }

    /// A function's environment in a stack that was given only the required parameters.
    pub(super) fn variables(&self, binary: &str) -> Result<BTreeMap<String, String>> {
        let all = self.environment(binary)?;
        all.iter().map(|(name, value)| Ok((name.clone(), self.value(value)?))).collect()
    }

    /// A function's environment as it is written.
    pub(super) fn environment(&self, binary: &str) -> Result<Map<String, Value>> {
        let of = |value: &Value| value["Environment"]["Variables"].as_object().cloned().unwrap_or_default();
        let mut all = of(&self.0["Globals"]["Function"]);
        all.extend(of(self.function(binary)?));
        Ok(all)
    }

    /// The resolved value: a parameter's default, or a placeholder.
    fn value(&self, value: &Value) -> Result<String> {
        if let Some(otherwise) = value["Fn::If"].get(2) {
            // Optional parts are left out.
            return self.value(otherwise);
        }
        if let Some(text) = value.as_str() {
            return Ok(text.to_owned());
        }
        let name = value["Ref"].as_str().with_context(|| format!("{value} is no reference"))?;
        let default = &self.0["Parameters"][name]["Default"];
        Ok(match (name, default) {
            ("DriftqHttpUrl", Value::Null) => "http://driftq.internal:8080".to_owned(),
            (_, Value::Null) => format!("the {name}"),
            (_, Value::String(default)) => default.clone(),
            (_, default) => default.to_string(),
        })
    }
}

/// The template in that file, each of its short forms written in full.
pub(super) fn parse(path: &str) -> Result<Value> {
    Ok(long_form(yaml_serde::from_str(&read(path)?).context(path.to_owned())?))
}

fn long_form(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(truth) => truth.into(),
        Yaml::Number(number) => number.as_i64().map_or_else(|| json!(number.as_f64()), Value::from),
        Yaml::String(text) => text.into(),
        Yaml::Sequence(items) => items.into_iter().map(long_form).collect(),
        Yaml::Mapping(map) => {
            let name = |key: Yaml| key.as_str().unwrap_or_default().to_owned();
            map.into_iter().map(|(key, value)| (name(key), long_form(value))).collect::<Map<_, _>>().into()
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = match tag.trim_start_matches('!') {
                plain @ ("Ref" | "Condition") => plain.to_owned(),
                function => format!("Fn::{function}"),
            };
            json!({ name: long_form(tagged.value) })
        }
    }
}
