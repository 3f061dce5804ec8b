//! The trace collector: those variables of OpenTelemetry's OTLP exporter
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>) that are supported.

use url::{Host, Url};

use super::{problems::Problems, url_template::LOCALHOST};

const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
/// The only supported protocol.
const HTTP_JSON: &str = "http/json";

/// A collector of traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// The URL that spans are posted to.
    pub url: Url,
    /// `OTEL_SERVICE_NAME`: the function's name in traces.
    pub service: Option<String>,
}

impl Collector {
    /// Reads the variables; none if no endpoint is set, which is the default.
    pub(super) fn read(get: impl Fn(&str) -> Option<String>, problems: &mut Problems) -> Option<Self> {
        let [whole, base, protocol, service] = [TRACES_ENDPOINT, ENDPOINT, PROTOCOL, SERVICE_NAME].map(get);
        let (name, url) = match whole {
            Some(whole) => (TRACES_ENDPOINT, whole),
            None => (ENDPOINT, format!("{}/v1/traces", base?.trim_end_matches('/'))),
        };
        if protocol.is_some_and(|protocol| protocol != HTTP_JSON) {
            problems
                .add(PROTOCOL, format!("spans are sent as {HTTP_JSON} only; set it to that, or unset it"));
        }
        let url = Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(url) =
            url.filter(|url| url.has_host() && url.username().is_empty() && url.password().is_none())
        else {
            problems.add(name, "not an http:// or https:// URL; credentials belong into the secret OTEL_EXPORTER_OTLP_HEADERS");
            return None;
        };
        Some(Self { url, service })
    }

    /// Whether spans would be sent unencrypted: `http` to another machine.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        let is_here = match self.url.host() {
            Some(Host::Domain(name)) => name == LOCALHOST,
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
            None => false,
        };
        self.url.scheme() == "http" && !is_here
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Collector>, String> {
        let mut problems = Problems::default();
        let get = |name: &str| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        };
        let collector = Collector::read(get, &mut problems);
        problems.or("environment", collector).map_err(|error| error.to_string())
    }

    fn url(variables: &[(&str, &str)]) -> String {
        read(variables).unwrap().unwrap().url.into()
    }

    #[test]
    fn the_endpoint_of_traces_is_whole_and_the_other_is_a_base() {
        assert_eq!(read(&[(SERVICE_NAME, "x"), (PROTOCOL, "grpc")]), Ok(None), "off");
        assert_eq!(url(&[(ENDPOINT, "http://localhost:4318")]), "http://localhost:4318/v1/traces");
        assert_eq!(url(&[(ENDPOINT, "https://otlp.example/a/")]), "https://otlp.example/a/v1/traces");
        let both = [(ENDPOINT, "https://otlp.example"), (TRACES_ENDPOINT, "https://traces.example/in")];
        assert_eq!(url(&both), "https://traces.example/in");
    }

    #[test]
    fn what_can_not_be_used_is_said_at_start() {
        for wrong in ["otlp.example:4317", "grpc://otlp.example", "https://user:secret@otlp.example"] {
            let error = read(&[(TRACES_ENDPOINT, wrong)]).unwrap_err();
            assert!(error.contains(TRACES_ENDPOINT) && !error.contains("secret@"), "{error}");
        }
        let error = read(&[(ENDPOINT, "https://otlp.example"), (PROTOCOL, "grpc")]).unwrap_err();
        assert!(error.contains("http/json only"), "{error}");
        assert!(read(&[(ENDPOINT, "https://otlp.example"), (PROTOCOL, "http/json")]).is_ok());
    }

    #[test]
    fn http_to_another_machine_is_exposed() {
        let is_exposed = |endpoint| read(&[(ENDPOINT, endpoint)]).unwrap().unwrap().is_exposed();
        assert!(is_exposed("http://collector.internal:4318") && is_exposed("http://10.0.0.5"));
        assert!(!is_exposed("https://otlp.example") && !is_exposed("http://127.0.0.1:4318"));
        assert!(!is_exposed("http://[::1]:4318") && !is_exposed("http://localhost:4318"));
    }
}
