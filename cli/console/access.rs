//! Access control: only the browser that opens the printed URL has access, and no other user or web page on this machine.
//!
//! * The port and the first part of each path are random. The cookie is limited to that path, because browsers send a cookie to
//!   every port of a host: another server on this machine does not know the path, and never receives the cookie.
//! * The token in the printed URL admits one browser, once.
//! * `Host` must be the console's own address, so that a name that resolves to this machine (DNS rebinding) is refused.
//! * `Origin` and `Sec-Fetch-Site` must be the console's own if they are sent, and a POST must have an `Origin` and a form's
//!   token, so that no other page can make the browser send requests or decisions.
//! * A page loads only its own two files, runs no other script, and can't be framed.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use maud::html;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::App;

/// A random text of 122 bits.
fn random() -> String {
    Uuid::new_v4().simple().to_string()
}

/// A secret, stored as its digest: the time of a comparison of digests reveals nothing about the secret.
struct Secret([u8; 32]);

impl Secret {
    fn new(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    fn is(&self, text: &str) -> bool {
        <[u8; 32]>::from(Sha256::digest(text)) == self.0
    }
}

/// What a browser needs for access.
pub(super) struct Access {
    authority: String,
    base: String,
    read_only: bool,
    /// None once it has been used.
    token: Mutex<Option<Secret>>,
    session: Secret,
    cookie: String,
    form_token: String,
}

/// Why a request has no access.
enum Refused {
    OtherHost,
    OtherOrigin,
    NoSession,
    ReadOnly,
}

impl Access {
    /// A new access control, and the URL that admits a browser.
    pub(super) fn new(addr: SocketAddr, read_only: bool) -> (Self, String) {
        let (authority, base, token, session) = (addr.to_string(), random(), random(), random());
        let url = format!("http://{authority}/{base}/?token={token}");
        let cookie = format!("session={session}; Path=/{base}/; HttpOnly; SameSite=Strict");
        let (token, session) = (Mutex::new(Some(Secret::new(&token))), Secret::new(&session));
        let form_token = random();
        (Self { authority, base, read_only, token, session, cookie, form_token }, url)
    }

    /// The first part of each page's path.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// The token that each form contains.
    pub(super) fn form_token(&self) -> &str {
        &self.form_token
    }

    /// Whether a form is one of this console.
    pub(super) fn is_own_form(&self, token: &str) -> bool {
        Secret::new(&self.form_token).is(token)
    }

    fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refused> {
        let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        if text(header::HOST) != Some(&*self.authority) {
            return Err(Refused::OtherHost);
        }
        let ours = format!("http://{}", self.authority);
        let from_here = match text(header::ORIGIN) {
            Some(origin) => origin == ours,
            None => method == Method::GET,
        };
        let site = text(HeaderName::from_static("sec-fetch-site"));
        if !from_here || !matches!(site, None | Some("same-origin" | "none")) {
            return Err(Refused::OtherOrigin);
        }
        if self.read_only && method != Method::GET {
            return Err(Refused::ReadOnly);
        }
        Ok(())
    }

    fn knows(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = cookies.flat_map(|line| line.split("; "));
        cookies.any(|cookie| cookie.strip_prefix("session=").is_some_and(|value| self.session.is(value)))
    }

    /// Whether this is the unused token. Marks it as used.
    fn let_in(&self, query: &str) -> bool {
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |given: &str| token.as_ref().is_some_and(|token| token.is(given));
        let came = query.strip_prefix("token=").is_some_and(is_it);
        if came {
            *token = None;
        }
        came
    }
}

/// The middleware before every page.
pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let access = &app.access;
    let mut response = match access.check(request.method(), request.headers()) {
        Err(refused) => refused.into_response(),
        Ok(()) if access.knows(request.headers()) => next.run(request).await,
        Ok(()) if is_start(access, &request) && access.let_in(request.uri().query().unwrap_or_default()) => {
            let to = [(header::SET_COOKIE, access.cookie.clone()), (header::LOCATION, "./".to_owned())];
            (StatusCode::SEE_OTHER, to).into_response()
        }
        Ok(()) => Refused::NoSession.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

fn is_start(access: &Access, request: &Request) -> bool {
    request.method() == Method::GET && request.uri().path() == format!("/{}/", access.base)
}

const HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    // Without a referrer policy, a form's `Origin` would be null.
    ("referrer-policy", "same-origin"),
    // Pages may contain personal data, which browsers must not store on disk.
    ("cache-control", "no-store"),
];

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, why) = match self {
            Self::OtherHost => (StatusCode::MISDIRECTED_REQUEST, "This request names another host."),
            Self::OtherOrigin => (StatusCode::FORBIDDEN, "This request comes from another web page."),
            Self::NoSession => (
                StatusCode::UNAUTHORIZED,
                "This browser has no session. Open the printed URL, which admits one browser, once. \
                 For another browser, start another console: cargo webhooks console",
            ),
            Self::ReadOnly => (StatusCode::FORBIDDEN, "This console is read-only."),
        };
        let page = html! { (maud::DOCTYPE) html lang="en" { head { title { "driftq-webhooks" } } body { p { (why) } } } };
        (status, Html(page.into_string())).into_response()
    }
}
