//! The third party: one request, made of the step's templates, with the effect's idempotency key.

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use lambda_http::http::{HeaderValue, header};
use minijinja::{Value as Jinja, context, value::Serde};
use reqwest::Request;
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::{Url, form_urlencoded};

use super::outcome::{NotApplied, of_error, of_status};
use crate::{
    command::Input,
    config::{
        call::{Auth, Body, Call},
        step::Step,
        template::{RenderError, Templates},
    },
    effects::{guard::Lease, record::Receipt},
    secrets::Secrets,
};

/// More of an answer than this is not read.
const MAX_ANSWER: usize = 256 * 1024;

/// Calls third parties.
#[derive(Debug, Clone)]
pub struct Caller {
    http: reqwest::Client,
    secrets: Secrets,
}

/// A request that can't be made: trying again would not help.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// A template does not fit the input.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The URL came out at another place than the one in `webhooks.toml`.
    #[error("the URL does not lead where webhooks.toml says")]
    Elsewhere,
    /// What came out can't stand in a header.
    #[error("{0}: not a legal header value")]
    Header(String),
}

impl Caller {
    /// `http` must not follow redirects.
    #[must_use]
    pub fn new(http: reqwest::Client, secrets: Secrets) -> Self {
        Self { http, secrets }
    }

    /// Makes the request of one attempt.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub fn prepare(
        &self,
        step: &Step,
        templates: &Templates,
        input: &Input,
        lease: &Lease,
    ) -> Result<Request, Unfit> {
        let Call { method, url, origin, auth, headers, body, timeout, .. } = &step.call;
        let effect = lease.effect();
        let key = effect.idempotency_key();
        let context = context! {
            input => Jinja::from(Serde(input)),
            run_id => effect.run_id().as_str(),
            effect_id => effect.to_string(),
            step => step.id.as_str(),
            business_key => effect.business_key(),
            attempt => lease.attempt(),
            idempotency_key => key.as_str(),
        };
        let url: Url = templates.text(url, &context)?.parse().map_err(|_| Unfit::Elsewhere)?;
        if url.origin() != *origin {
            return Err(Unfit::Elsewhere);
        }
        let mut request = Request::new(method.clone(), url);
        *request.timeout_mut() = Some(*timeout);
        request.headers_mut().insert("idempotency-key", header_value("idempotency-key", &key)?);
        for (name, template) in headers {
            let value = header_value(name.as_str(), &templates.text(template, &context)?)?;
            request.headers_mut().insert(name, value);
        }
        if let Some(auth) = auth {
            self.authorise(&mut request, auth)?;
        }
        set_body(&mut request, body, templates, &context)?;
        Ok(request)
    }

    fn authorise(&self, request: &mut Request, auth: &Auth) -> Result<(), Unfit> {
        let secret = self.secrets.get(auth.secret()).map_or("", |secret| secret.expose());
        let (name, value) = match auth {
            Auth::Bearer(_) => (header::AUTHORIZATION, format!("Bearer {secret}")),
            Auth::Basic(_) => (header::AUTHORIZATION, format!("Basic {}", BASE64_STANDARD.encode(secret))),
            Auth::Header { name, .. } => (name.clone(), secret.to_owned()),
        };
        let mut value = header_value(name.as_str(), &value)?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
        Ok(())
    }

    /// Calls the third party. It takes a lease to do so.
    ///
    /// # Errors
    /// It is not known to have been applied; how far that goes says [`NotApplied`].
    pub async fn call(
        &self,
        request: Request,
        step: &Step,
        templates: &Templates,
        _: &Lease,
        now: Timestamp,
    ) -> Result<Receipt, NotApplied> {
        let mut response = self.http.execute(request).await.map_err(of_error)?;
        let status = response.status();
        of_status(status, response.headers(), now)?;
        // The status says that it was applied; whatever happens to the body can't undo that.
        let mut answer = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            answer.extend_from_slice(&chunk[..chunk.len().min(MAX_ANSWER - answer.len())]);
            if answer.len() == MAX_ANSWER {
                break;
            }
        }
        Ok(receipt(status.as_u16(), &answer, step, templates))
    }
}

fn set_body(request: &mut Request, body: &Body, templates: &Templates, context: &Jinja) -> Result<(), Unfit> {
    let (content_type, bytes) = match body {
        Body::Empty => return Ok(()),
        Body::Json(template) => ("application/json", templates.json(template, context)?.to_string()),
        Body::Form(fields) => {
            let mut form = form_urlencoded::Serializer::new(String::new());
            for (name, template) in fields {
                form.append_pair(name, &templates.text(template, context)?);
            }
            ("application/x-www-form-urlencoded", form.finish())
        }
    };
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    *request.body_mut() = Some(bytes.into());
    Ok(())
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, Unfit> {
    HeaderValue::from_str(value).map_err(|_| Unfit::Header(name.to_owned()))
}

/// A field that the answer lacks is left out: the effect was applied all the same.
fn receipt(status: u16, answer: &[u8], step: &Step, templates: &Templates) -> Receipt {
    let json: Option<Value> = serde_json::from_slice(answer).ok();
    let context =
        context! { response => context! { status, json => json.map(|json| Jinja::from(Serde(json))) } };
    let field = |(name, template)| {
        let (name, template): (&String, _) = (name, template);
        Some((name.clone(), templates.json(template, &context).ok()?))
    };
    let fields =
        step.call.receipt.iter().map(|(name, template)| (name, template)).filter_map(field).collect();
    Receipt { status, digest: hex::encode(Sha256::digest(answer)), fields }
}
