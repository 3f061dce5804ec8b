//! `driftq.yaml` with values for its parameters: rules, conditions, mappings and references are resolved as
//! CloudFormation resolves them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};

use crate::template::file::parse;

/// A stack of the template, before its creation.
#[derive(Clone)]
pub(super) struct Stack {
    template: Value,
    parameters: BTreeMap<String, String>,
}

impl Stack {
    /// Every parameter has its default, and those that have none are not resolved.
    pub(super) fn of_defaults() -> Result<Self> {
        let template = parse("driftq.yaml")?;
        let parameters = template["Parameters"].as_object().into_iter().flatten();
        let parameters = parameters
            .filter_map(|(name, parameter)| Some((name.clone(), parameter["Default"].as_str()?.to_owned())));
        Ok(Self { parameters: parameters.collect(), template })
    }

    /// The same stack with other values for some parameters.
    pub(super) fn with(&self, values: &[(&str, &str)]) -> Self {
        let mut other = self.clone();
        other.parameters.extend(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        other
    }

    /// What the template says about a parameter.
    pub(super) fn parameter(&self, name: &str, field: &str) -> &Value {
        &self.template["Parameters"][name][field]
    }

    /// Whether CloudFormation would begin: each rule that applies holds.
    pub(super) fn rules_hold(&self) -> Result<bool> {
        let rules = self.template["Rules"].as_object().context("no rules")?;
        let mut applied = 0;
        let mut hold = true;
        for rule in rules.values().filter(|rule| self.truth(&rule["RuleCondition"])) {
            applied += 1;
            let assertions = rule["Assertions"].as_array().context("no assertions")?;
            hold &= assertions.iter().all(|it| self.truth(&it["Assert"]));
        }
        ensure!(applied > 0, "no rule is about these values");
        Ok(hold)
    }

    /// A resource of this stack, with everything resolved that depends on parameters.
    pub(super) fn resource(&self, id: &str) -> Option<Value> {
        self.resources().get_mut(id).map(Value::take)
    }

    /// All its resources.
    pub(super) fn resources(&self) -> Value {
        let all = self.template["Resources"].as_object().into_iter().flatten();
        let there = all.filter(|(_, it)| it["Condition"].as_str().is_none_or(|name| self.condition(name)));
        there.filter_map(|(id, it)| Some((id.clone(), self.resolve(it)?))).collect::<Map<_, _>>().into()
    }

    fn condition(&self, name: &str) -> bool {
        self.truth(&self.template["Conditions"][name])
    }

    fn truth(&self, expression: &Value) -> bool {
        if let Some(inner) = expression["Fn::Not"].get(0) {
            return !self.truth(inner);
        }
        let both = |pair: &Value| (self.resolve(&pair[0]), self.resolve(&pair[1]));
        if expression["Fn::Equals"].is_array() {
            let (one, other) = both(&expression["Fn::Equals"]);
            return one == other;
        }
        let (list, value) = both(&expression["Fn::Contains"]);
        let list = list.as_ref().and_then(Value::as_array);
        list.zip(value).is_some_and(|(list, value)| list.contains(&value))
    }

    /// The resolved value; none for `AWS::NoValue`, which removes its property or item.
    fn resolve(&self, value: &Value) -> Option<Value> {
        if let Some(branches) = value["Fn::If"].as_array() {
            let holds = self.condition(branches[0].as_str()?);
            return self.resolve(&branches[if holds { 1 } else { 2 }]);
        }
        if let Some(path) = value["Fn::FindInMap"].as_array() {
            let key = self.resolve(&path[1])?;
            return Some(
                self.template["Mappings"][path[0].as_str()?][key.as_str()?][path[2].as_str()?].clone(),
            );
        }
        match value {
            Value::Object(map) if map.get("Ref").is_some_and(|name| name == "AWS::NoValue") => None,
            Value::Object(map) => Some(self.reference(map)),
            Value::Array(items) => Some(items.iter().filter_map(|item| self.resolve(item)).collect()),
            plain => Some(plain.clone()),
        }
    }

    fn reference(&self, map: &Map<String, Value>) -> Value {
        let parameter = map.get("Ref").and_then(Value::as_str).and_then(|name| self.parameters.get(name));
        if let Some(value) = parameter {
            return value.clone().into();
        }
        let fields = map.iter().filter_map(|(name, it)| Some((name.clone(), self.resolve(it)?)));
        fields.collect::<Map<_, _>>().into()
    }
}
