//! The HTTP clients for third parties. A third party controls its own DNS name, so the addresses are checked: a name that
//! resolves to this machine, a private network or a metadata service would let its owner reach what we can reach. The
//! addresses of brokers and AWS come from the operator, so their client does not check them.
//!
//! A destination with a client certificate has its own client, so that no other destination sees the certificate.

mod certificate;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
};
use rustls::ClientConfig;
use tokio::net::lookup_host;

use crate::{
    clients::{builder, trust, unusable},
    config::{
        Config, ConfigError,
        addresses::not_public,
        destination::Destinations,
        environment::Lookup,
        url_template::{LOCALHOST, UrlTemplate},
    },
    secrets::{Secret, Secrets},
};

/// A client for each third party.
#[derive(Debug, Clone)]
pub struct ThirdParties {
    /// It connects to public addresses only.
    guarded: Client,
    /// It connects to any address.
    open: Client,
    tls: Arc<ClientConfig>,
    destinations: Arc<Destinations>,
    /// Clients with a client certificate, by destination, with the secret that each was made from.
    certified: Arc<Mutex<BTreeMap<String, (Secret, Client)>>>,
}

impl ThirdParties {
    /// The clients for the destinations of this configuration. `open` must not follow redirects.
    ///
    /// # Errors
    /// `SSL_CERT_FILE` can't be used.
    pub fn new(open: Client, config: &Config, get: Lookup<'_>) -> Result<Self, ConfigError> {
        let tls = trust::tls(get)?;
        let guarded = builder(tls.clone()).dns_resolver(Arc::new(PublicOnly)).build();
        let guarded = guarded.map_err(|error| unusable(&error))?;
        let destinations = Arc::new(config.destinations.clone());
        Ok(Self { guarded, open, tls: Arc::new(tls), destinations, certified: Arc::default() })
    }

    /// The client for requests to this URL, with its destination's certificate as it is in these secrets.
    ///
    /// # Errors
    /// The certificate can't be used.
    pub fn client(&self, url: &UrlTemplate, secrets: &Secrets) -> Result<Client, UnusableCertificate> {
        let host = url.destination();
        let Some(destination) = self.destinations.get(&host) else { return Ok(self.guarded.clone()) };
        let Some(name) = &destination.client_certificate else {
            return Ok(if destination.allow_private { &self.open } else { &self.guarded }.clone());
        };
        let refused = |why: String| UnusableCertificate { name: name.clone(), why };
        let secret = secrets.get(name).ok_or_else(|| refused("is missing".to_owned()))?;
        let mut certified = self.certified.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = certified.get(&host).filter(|(made_of, _)| made_of == secret) {
            return Ok(client.clone());
        }
        let client = builder(certificate::shown(&self.tls, secret.expose()).map_err(refused)?);
        let client = match destination.allow_private {
            true => client,
            false => client.dns_resolver(Arc::new(PublicOnly)),
        };
        let client = client.build().map_err(|error| refused(format!("can't be used: {error}")))?;
        certified.insert(host, (secret.clone(), client.clone()));
        Ok(client)
    }
}

/// A destination's client certificate can't be shown, so nothing is sent to it. Holds names, never values.
#[derive(Debug, thiserror::Error)]
#[error("the client certificate {name} {why}")]
pub struct UnusableCertificate {
    name: String,
    why: String,
}

/// Resolves names to public addresses; the client connects to those only.
#[derive(Debug)]
struct PublicOnly;

/// A name resolves to no public address.
#[derive(Debug, thiserror::Error)]
#[error(
    "{host} resolves to {address}, {what}; if it may, add allow_private = true to its [destinations] table"
)]
struct NotPublic {
    host: String,
    address: IpAddr,
    what: &'static str,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str();
            let found = lookup_host((host, 0)).await?;
            Ok(Box::new(public(host, found)?.into_iter()) as Addrs)
        })
    }
}

/// The public addresses of a name. `localhost` is allowed: it is in webhooks.toml only if its author wants it.
fn public(host: &str, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, NotPublic> {
    let problem = |address: &SocketAddr| {
        let loopback = host == LOCALHOST && address.ip().is_loopback();
        not_public(address.ip()).filter(|_| !loopback)
    };
    let (private, public): (Vec<_>, Vec<_>) = found.partition(|address| problem(address).is_some());
    match private.first().and_then(|address| Some((address.ip(), problem(address)?))) {
        Some((address, what)) if public.is_empty() => Err(NotPublic { host: host.to_owned(), address, what }),
        _ => Ok(public),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use jiff::Timestamp;
    use tokio::net::TcpListener;

    use super::*;
    use crate::{
        outcome::{NotApplied, of_error},
        secrets::{Current, SecretStore},
    };

    /// Time limit of a test's request. It is reached only if the client connects where it must not.
    const PATIENCE: Duration = Duration::from_secs(2);

    fn of(host: &str, addresses: &[&str]) -> Result<Vec<IpAddr>, String> {
        let found = addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0));
        let public = public(host, found).map_err(|error| error.to_string())?;
        Ok(public.iter().map(SocketAddr::ip).collect())
    }

    #[test]
    fn only_public_addresses_of_a_name_are_connected_to() {
        let all = ["10.0.0.5", "1.1.1.1", "::1", "2606:4700::1111"];
        let public: [IpAddr; 2] = ["1.1.1.1".parse().unwrap(), "2606:4700::1111".parse().unwrap()];
        assert_eq!(of("h.example", &all).unwrap(), public);
        let refused = of("h.example", &["169.254.169.254", "fd00::1"]).unwrap_err();
        assert_eq!(
            refused,
            "h.example resolves to 169.254.169.254, a link-local address; \
             if it may, add allow_private = true to its [destinations] table"
        );
        assert!(of("h.example", &["::ffff:10.0.0.5"]).is_err());
    }

    #[test]
    fn localhost_is_this_machine_and_no_other() {
        assert_eq!(of("localhost", &["127.0.0.1", "::1"]).unwrap().len(), 2);
        for (host, address) in
            [("localhost", "10.0.0.5"), ("localhost.", "127.0.0.1"), ("a.localhost", "127.0.0.1")]
        {
            assert!(of(host, &[address]).is_err(), "{host} at {address}");
        }
    }

    /// A resolver that gives `localhost`'s addresses to another name: on a machine without a network, only
    /// `localhost` is sure to resolve.
    #[derive(Debug)]
    struct Borrowed;

    impl Resolve for Borrowed {
        fn resolve(&self, name: Name) -> Resolving {
            Box::pin(async move {
                let found = lookup_host((LOCALHOST, 0)).await?;
                Ok(Box::new(public(name.as_str(), found)?.into_iter()) as Addrs)
            })
        }
    }

    async fn get(resolver: impl Resolve + 'static, url: String) -> Result<reqwest::Response, NotApplied> {
        let client = builder(trust::tls(&|_| None).unwrap()).dns_resolver(Arc::new(resolver));
        client.build().unwrap().get(url).timeout(PATIENCE).send().await.map_err(of_error)
    }

    #[tokio::test]
    async fn what_is_behind_a_private_address_is_not_connected_to_and_nothing_is_in_doubt() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let refused = get(Borrowed, format!("http://h.example:{port}/")).await;
        let Err(NotApplied::NotSent(why)) = refused else { panic!("{refused:?}") };
        assert!(why.starts_with("could not connect: h.example resolves to "), "{why}");
        // The same addresses under the name `localhost` are connected to.
        let connected = async { drop(listener.accept().await.unwrap()) };
        let (refused, ()) = tokio::join!(get(PublicOnly, format!("http://localhost:{port}/")), connected);
        assert!(matches!(refused, Err(NotApplied::Unknown(_))), "{refused:?}");
    }
    const CLIENT: &str = include_str!("../tests/stories/client_certificates/client.pem");

    async fn secrets(value: fn(&str) -> Option<String>) -> Arc<Secrets> {
        let store = SecretStore::environment(BTreeSet::from(["A_CERTIFICATE".to_owned()]), value);
        let current = Current::start(store, Timestamp::UNIX_EPOCH, |secrets| Ok(secrets.clone())).await;
        current.unwrap().get()
    }

    #[tokio::test]
    async fn a_certificate_that_was_rotated_is_the_next_connections() {
        let config = "[[steps]]\nid = \"s\"\nbusiness_key = \"k\"\nin_doubt = { policy = \"park\" }\n\
                      call = { url = \"https://h.example/\" }\n\
                      [destinations.\"h.example\"]\nclient_certificate = \"A_CERTIFICATE\"";
        let config = Config::parse("toml", config).unwrap();
        let clients =
            ThirdParties::new(crate::clients::http(&|_| None).unwrap(), &config, &|_| None).unwrap();
        let url = &config.steps[0].call().unwrap().url;
        let (good, bad) =
            (secrets(|_| Some(CLIENT.to_owned())).await, secrets(|_| Some("?".to_owned())).await);
        assert!(clients.client(url, &good).is_ok());
        let error = clients.client(url, &bad).unwrap_err().to_string();
        assert_eq!(error, "the client certificate A_CERTIFICATE holds no PEM certificate");
        assert!(clients.client(url, &good).is_ok());
        assert!(clients.client(url, &Secrets::default()).is_err());
    }
}
