//! Which template names are signed, and the rule that run ids and business keys use signed names only.
//!
//! They determine the effect's identity. Anyone who has seen one webhook can send it again with changes to everything that its signature
//! does not cover. If an identity used any of that, each copy would be another call.

use serde::Deserialize;
use webhook_verify::Scheme;

use super::{Problems, Source, Template, Templates};

/// Names that an ingest template may use, apart from `source`, which is not part of the webhook.
const NAMES: [&str; 6] = ["event_id", "event_type", "event", "form", "digest", "headers"];

/// `unsigned = "accept"`: identities in the same table may use unsigned values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Unsigned {
    /// Anyone who has seen one webhook can have the effect applied again; the user accepts that.
    Accept,
}

/// Whether a template uses only signed values.
pub(super) fn is_signed(
    scheme: &Scheme,
    json_field: Option<&str>,
    template: &Template,
    templates: &Templates,
) -> bool {
    NAMES.iter().all(|name| !templates.uses(template, name) || scheme_signs(scheme, json_field, name))
}

/// `event` is part of the form if the source has a `json_field`.
fn scheme_signs(scheme: &Scheme, json_field: Option<&str>, name: &str) -> bool {
    let signed = |name| scheme.signed().contains(&name);
    signed(name) && (name != "event" || json_field.is_none() || signed("form"))
}

impl Source {
    /// Whether the signature covers the value of this name.
    pub(crate) fn signs(&self, name: &str) -> bool {
        let own = match name {
            "event_id" => self.event_id.as_ref(),
            "event_type" => self.event_type.as_ref(),
            _ => None,
        };
        own.map_or_else(|| scheme_signs(&self.scheme, self.json_field.as_deref(), name), |own| own.signed)
    }

    /// Reports an identity that uses unsigned values, unless its table accepts them.
    pub(in crate::config) fn check_identity(
        &self,
        identity: Option<&Template>,
        unsigned: Option<Unsigned>,
        templates: &Templates,
        problems: &mut Problems,
    ) {
        let Some(identity) = identity.filter(|_| unsigned.is_none() && !templates.are_checked()) else {
            return;
        };
        let unsigned = NAMES.iter().filter(|name| templates.uses(identity, name) && !self.signs(name));
        let unsigned: Vec<_> = unsigned.copied().collect();
        if !unsigned.is_empty() {
            problems.add(identity.field(), self.remedy(&unsigned.join(", ")));
        }
    }

    fn remedy(&self, unsigned: &str) -> String {
        let Self { name, scheme, .. } = self;
        let signed: Vec<_> = NAMES.into_iter().filter(|name| self.signs(name)).collect();
        let instead = match &signed[..] {
            [] => format!("{scheme} signs nothing, so write"),
            names => format!("use {}, or write", names.join(", ")),
        };
        format!(
            "{unsigned} of source {name} is not signed by {scheme}: anyone who has seen one webhook could send it again as another effect; \
             {instead} unsigned = \"accept\" beside it to accept that"
        )
    }
}
