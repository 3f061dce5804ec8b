//! Where the SDK sends its requests, and for which region and service it signs them: read from a request that
//! it has signed. So the SDK alone resolves regions, partitions, and the endpoints of accounts and of the
//! environment.

use http::header::AUTHORIZATION;
use reqwest::{Request, Url};

/// Where requests go.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) url: Url,
    /// The `host` header.
    pub(super) host: String,
    pub(super) region: String,
    pub(super) service: String,
}

impl Endpoint {
    /// Reads the endpoint of a signed request. None: the request is signed in another way, or with another
    /// key.
    pub(super) fn of(request: &Request, access_key: &str) -> Option<Self> {
        let url = request.url();
        let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
        let scope = header.strip_prefix("AWS4-HMAC-SHA256 Credential=")?.split(", ").next()?;
        let [key, _, region, service, "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
            return None;
        };
        let is_plain = url.path() == "/" && url.query().is_none() && key == access_key;
        let host = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str()?),
            None => url.host_str()?.to_owned(),
        };
        let (region, service) = (region.to_owned(), service.to_owned());
        is_plain.then(|| Self { url: url.clone(), host, region, service })
    }
}
