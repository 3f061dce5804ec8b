//! A third party's response, as far as it is read.

use minijinja::{Value as Jinja, context, value::Serde};
use reqwest::Response;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use crate::{
    config::template::{JsonTemplate, Templates},
    effects::record::Receipt,
};

/// The limit of the body that is read.
const MAX_ANSWER: usize = 256 * 1024;

/// A response with its body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    body: Vec<u8>,
}

impl Answer {
    /// Reads the body, up to the limit.
    pub(super) async fn read(mut response: Response) -> Self {
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk[..chunk.len().min(MAX_ANSWER - body.len())]);
            if body.len() == MAX_ANSWER {
                break;
            }
        }
        Self { status, body }
    }

    /// The context of templates about a response. If the body is not JSON, `response.json` is missing.
    pub(super) fn context(&self) -> Jinja {
        let json: Option<Value> = serde_json::from_slice(&self.body).ok();
        match json {
            Some(json) => {
                context! { response => context! { status => self.status, json => Jinja::from(Serde(json)) } }
            }
            None => context! { response => context! { status => self.status } },
        }
    }

    /// The receipt of the response. A missing field is left out: the effect was applied anyway.
    pub(super) fn receipt(&self, fields: &[(String, JsonTemplate)], templates: &Templates) -> Receipt {
        let context = self.context();
        let fields = fields
            .iter()
            .filter_map(|(name, template)| Some((name.clone(), templates.json(template, &context).ok()?)))
            .collect();
        Receipt::new(self.status, hex::encode(digest(&SHA256, &self.body)), fields)
    }
}
