//! Calls to third parties: one request, built from the step's templates, with the effect's idempotency key.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, header};
use jiff::Timestamp;
use minijinja::{Value as Jinja, context, value::Serde};
use reqwest::{Request, Response};
use url::form_urlencoded;

use super::{answer::Answer, destinations::Health, signature};
use crate::{
    clients::AwsSigner,
    command::Input,
    config::{
        auth::Auth,
        call::{Body, Call},
        template::{RenderError, Templates},
        url_template::{UrlError, UrlTemplate},
    },
    effect_id::EffectId,
    effects::{guard::Lease, record::Receipt},
    outcome::{NotApplied, of_error, of_status},
    secrets::{Current, Secret, Secrets},
    third_parties::ThirdParties,
    trace::{TRACEPARENT, Traceparent},
};

/// Calls third parties.
#[derive(Debug, Clone)]
pub struct Caller {
    clients: ThirdParties,
    secrets: Arc<Current<Secrets>>,
    aws: Option<AwsSigner>,
}

/// A request that can't be built. Trying again would not help, except for a [secret](Unfit::Secret).
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// A template does not fit the input.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The input makes no valid URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The result can't be used in a header. Contains the name of a field.
    #[error("{0}: not a legal header value")]
    Header(String),
    /// A secret can't be used until an operator replaces it.
    #[error("the secret {name} {why}")]
    Secret {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Unfit {
    fn secret(name: &str, why: impl ToString) -> Self {
        Self::Secret { name: name.to_owned(), why: why.to_string() }
    }
}

impl Caller {
    /// Creates a caller with these HTTP clients and secrets.
    #[must_use]
    pub fn new(clients: ThirdParties, secrets: Current<Secrets>) -> Self {
        Self { clients, secrets: secrets.into(), aws: None }
    }

    /// Adds a signer for calls to AWS.
    #[must_use]
    pub fn with_aws(self, aws: AwsSigner) -> Self {
        Self { aws: Some(aws), ..self }
    }

    /// Reads the secrets again if they are old. Called once per invocation, so that unused credentials can be revoked.
    pub(super) async fn renew_secrets(&self, now: Timestamp) {
        self.secrets.fresh(now).await;
    }

    /// All secrets, as last read.
    pub(super) fn secrets(&self) -> Arc<Secrets> {
        self.secrets.get()
    }

    /// The clients.
    pub(super) fn clients(&self) -> &ThirdParties {
        &self.clients
    }

    /// Newer secrets than these, if there are any.
    pub(super) async fn secrets_other_than(
        &self,
        seen: &Arc<Secrets>,
        now: Timestamp,
    ) -> Option<Arc<Secrets>> {
        self.secrets.other_than(seen, now).await
    }

    /// Builds the request of one attempt. `trace` is its span.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub(super) fn prepare(
        &self,
        call: &Call,
        templates: &Templates,
        input: &Input,
        lease: &Lease,
        trace: &Traceparent,
        now: Timestamp,
    ) -> Result<Request, Unfit> {
        self.request(call, templates, input, (lease.effect(), lease.attempt()), trace, now)
    }

    /// Like `prepare`, for an effect that is not claimed: the request is for display. To send one takes a lease.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub fn request(
        &self,
        call: &Call,
        templates: &Templates,
        input: &Input,
        (effect, attempt): (&EffectId, u32),
        trace: &Traceparent,
        now: Timestamp,
    ) -> Result<Request, Unfit> {
        let Call { method, url, auth, headers, body, timeout, .. } = call;
        let key = effect.idempotency_key();
        let context = request_context(input, effect, attempt);
        let mut request = Request::new(method.clone(), url.render(templates, &context)?);
        *request.timeout_mut() = Some(*timeout);
        request.headers_mut().insert("idempotency-key", header_value("idempotency-key", &key)?);
        // Before the step's own headers, which may override it.
        continue_trace(&mut request, trace)?;
        for (name, template) in headers {
            let value = header_value(template.field(), &templates.text(template, &context)?)?;
            request.headers_mut().insert(name, value);
        }
        set_body(&mut request, body, templates, &context)?;
        match auth {
            Some(Auth::StandardWebhooks(name)) => self.sign(&mut request, name, &key, now)?,
            // It is signed when it is sent, since credentials may have to be fetched first.
            Some(Auth::Aws { .. }) => {}
            Some(auth) => self.authorise(&mut request, auth)?,
            None => {}
        }
        Ok(request)
    }

    /// Adds the credentials.
    pub(super) fn authorise(&self, request: &mut Request, auth: &Auth) -> Result<(), Unfit> {
        let secrets = self.secrets.get();
        let Some(named) = auth.secret() else { return Ok(()) };
        let secret = secrets.get(named).map_or("", Secret::expose);
        let (name, value) = match auth {
            Auth::Bearer(_) => (header::AUTHORIZATION, format!("Bearer {secret}")),
            Auth::Basic(_) => (header::AUTHORIZATION, format!("Basic {}", BASE64_STANDARD.encode(secret))),
            Auth::Header { name, .. } => (name.clone(), secret.to_owned()),
            // A call is signed when it is complete, and a look-up is never signed.
            Auth::StandardWebhooks(_) | Auth::Aws { .. } => return Ok(()),
        };
        let unusable = |_| Unfit::secret(named, "is not a legal header value");
        let mut value = HeaderValue::from_str(&value).map_err(unusable)?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
        Ok(())
    }

    /// Signs the body as it will be sent.
    fn sign(&self, request: &mut Request, name: &str, key: &str, now: Timestamp) -> Result<(), Unfit> {
        let secrets = self.secrets.get();
        let secret = secrets.get(name).map_or("", Secret::expose);
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let signed = signature::headers(secret, key, now, body).map_err(|why| Unfit::secret(name, why))?;
        request.headers_mut().extend(signed);
        Ok(())
    }

    /// Signs a call for AWS. Each attempt is signed anew: a signature is valid for some minutes.
    async fn sign_for_aws(&self, request: &mut Request, call: &Call, now: Timestamp) -> Result<(), String> {
        let Some(Auth::Aws { service, region }) = &call.auth else { return Ok(()) };
        let signer = self.aws.as_ref().ok_or("there is nothing to sign for AWS with")?;
        signer.sign(request, service, region.as_deref(), now).await.map_err(|error| error.to_string())
    }

    /// Sends a request that was built for this URL.
    pub(super) async fn send(&self, request: Request, url: &UrlTemplate) -> Result<Response, NotApplied> {
        let client = self.clients.client(url, &self.secrets.get());
        let client = client.map_err(|error| NotApplied::NotSent(error.to_string()))?;
        client.execute(request).await.map_err(of_error)
    }

    /// Calls the third party. This takes a lease.
    pub(super) async fn call(
        &self,
        mut request: Request,
        call: &Call,
        templates: &Templates,
        _: &Lease,
        now: Timestamp,
    ) -> Called {
        if let Err(unsigned) = self.sign_for_aws(&mut request, call, now).await {
            let outcome = Err(NotApplied::NotSent(unsigned));
            return Called { outcome, health: Health::Well };
        }
        let response = match self.send(request, &call.url).await {
            Ok(response) => response,
            Err(outcome) => return Called { outcome: Err(outcome), health: Health::Failing },
        };
        let status = response.status();
        let judged = of_status(status, response.headers(), &call.statuses, now);
        let health = match &judged {
            Err(NotApplied::RefusedForNow { retry_after: Some(pause), .. }) => Health::AskedForPause(*pause),
            _ if status.is_server_error() => Health::Failing,
            _ => Health::Well,
        };
        let outcome = match judged {
            Ok(()) => judge_body(response, call, templates).await,
            Err(outcome) => Err(outcome),
        };
        Called { outcome, health }
    }
}

/// The outcome of a call, for the effect and for its destination.
#[derive(Debug)]
pub(super) struct Called {
    /// The receipt if the call was applied; else [`NotApplied`] says what is known.
    pub(super) outcome: Result<Receipt, NotApplied>,
    pub(super) health: Health,
}

/// Judges a response whose status means "applied". The body can change that only if the step has `applied_if`.
async fn judge_body(response: Response, call: &Call, templates: &Templates) -> Result<Receipt, NotApplied> {
    let Call { applied_if, receipt, .. } = call;
    let answer = Answer::read(response).await;
    if let Some(condition) = applied_if {
        match templates.holds(condition, &answer.context()) {
            Ok(true) => {}
            Ok(false) => {
                let why = format!("answered {}, but applied_if does not hold", answer.status);
                return Err(NotApplied::RefusedForGood(why));
            }
            Err(error) => {
                return Err(NotApplied::Unknown(format!("answered {}; {error}", answer.status)));
            }
        }
    }
    Ok(answer.receipt(receipt, templates))
}

/// The context of a request's templates.
pub(super) fn request_context(input: &Input, effect: &EffectId, attempt: u32) -> Jinja {
    context! {
        input => Jinja::from(Serde(input)),
        run_id => effect.run_id().as_str(),
        effect_id => effect.to_string(),
        step => effect.step_id().as_str(),
        business_key => effect.business_key(),
        attempt => attempt,
        idempotency_key => effect.idempotency_key(),
    }
}

/// Adds the trace context: each request tells the third party its span.
pub(super) fn continue_trace(request: &mut Request, trace: &Traceparent) -> Result<(), Unfit> {
    let value = header_value(TRACEPARENT.as_str(), &trace.to_string())?;
    request.headers_mut().insert(TRACEPARENT, value);
    Ok(())
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
    // AWS services need another content type, which the step sets.
    request.headers_mut().entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
    *request.body_mut() = Some(bytes.into());
    Ok(())
}

fn header_value(origin: &str, value: &str) -> Result<HeaderValue, Unfit> {
    HeaderValue::from_str(value).map_err(|_| Unfit::Header(origin.to_owned()))
}
