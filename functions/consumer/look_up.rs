//! The look-up: asks the third party whether a call was applied.

use http::Method;
use minijinja::context;
use reqwest::Request;

use super::{
    answer::Answer,
    call::{Caller, Unfit, continue_trace, request_context},
};
use crate::{
    command::Input,
    config::{call::Call, in_doubt::LookUp, template::Templates},
    effects::{guard::Doubt, record::Receipt},
    trace::Traceparent,
};

/// The result of a look-up.
#[derive(Debug)]
pub(super) enum LookedUp {
    /// It was applied.
    Found(Receipt),
    /// It was not applied.
    NotFound,
    /// Still unknown.
    CannotTell(String),
    /// The request can't be made, now or later.
    CannotAsk(Unfit),
}

impl Caller {
    /// Looks up an effect that is in doubt. `not_found` is evaluated only if `found` does not hold.
    pub(super) async fn look_up(
        &self,
        look_up: &LookUp,
        call: &Call,
        templates: &Templates,
        input: &Input,
        doubt: &Doubt,
        trace: &Traceparent,
    ) -> LookedUp {
        let asked = request_context(input, doubt.effect(), doubt.attempt());
        let request = match self.question(look_up, templates, &asked, trace) {
            Ok(request) => request,
            Err(unfit @ Unfit::Secret { .. }) => return LookedUp::CannotTell(unfit.to_string()),
            Err(unfit) => return LookedUp::CannotAsk(unfit),
        };
        let answer = match self.send(request, &look_up.url).await {
            Ok(response) => Answer::read(response).await,
            Err(error) => return LookedUp::CannotTell(error.why().to_owned()),
        };
        let context = context! { ..answer.context(), ..asked };
        // A condition that can't be evaluated on the response does not hold.
        if templates.holds(&look_up.found, &context).unwrap_or(false) {
            let fields = if look_up.receipt.is_empty() { &call.receipt } else { &look_up.receipt };
            return LookedUp::Found(answer.receipt(fields, templates));
        }
        if templates.holds(&look_up.not_found, &context).unwrap_or(false) {
            return LookedUp::NotFound;
        }
        LookedUp::CannotTell(format!(
            "the look-up answered {}, which is neither found nor not_found",
            answer.status
        ))
    }

    fn question(
        &self,
        look_up: &LookUp,
        templates: &Templates,
        context: &minijinja::Value,
        trace: &Traceparent,
    ) -> Result<Request, Unfit> {
        let url = look_up.url.render(templates, context)?;
        let mut request = Request::new(Method::GET, url);
        *request.timeout_mut() = Some(look_up.timeout);
        continue_trace(&mut request, trace)?;
        if let Some(auth) = &look_up.auth {
            self.authorise(&mut request, auth)?;
        }
        Ok(request)
    }
}
