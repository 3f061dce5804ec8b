//! The topic of commands at all brokers: which one gets a new command, and which are only drained.

use std::iter;

use ring::digest::{Digest, SHA256, digest};

use crate::{
    config::{
        ConfigError,
        brokers::{Brokers, Role},
        environment::{Environment, Signatures},
    },
    secrets::{COMMAND_KEY, DRIFTQ_AUTH_HEADER, Secret, Secrets},
    topic::Topic,
};

const UNSIGNED: &str = "missing; anyone who can reach the broker could have commands executed with our credentials. Set it to 32 \
                        random bytes in hex, the same for both functions (openssl rand -hex 32)";

/// One topic, by the same name, at each broker. There is always one that accepts commands.
#[derive(Debug, Clone)]
pub struct Topics {
    first: Topic,
    more: Vec<Topic>,
    draining: Vec<Topic>,
}

impl Topics {
    /// `first` and `more` accept commands; `draining` are only read.
    #[must_use]
    pub fn new(first: Topic, more: Vec<Topic>, draining: Vec<Topic>) -> Self {
        Self { first, more, draining }
    }

    /// The topic of commands at each broker, with the header that its proxy requires.
    ///
    /// # Errors
    /// `DRIFTQ_AUTH_HEADER` can't be used, or it would be sent unencrypted, or commands unsigned, to a broker on another machine.
    pub fn of_commands(
        http: &reqwest::Client,
        environment: &Environment,
        secrets: &Secrets,
    ) -> Result<Self, ConfigError> {
        let Brokers { first, more, draining } = &environment.brokers;
        let all = || [first].into_iter().chain(more).chain(draining);
        let is_required = environment.command_signatures == Signatures::Required;
        if is_required
            && secrets.get(COMMAND_KEY).is_none()
            && !all().all(driftq_client::Address::is_loopback)
        {
            return Err(ConfigError::one("secrets", COMMAND_KEY, UNSIGNED.to_owned()));
        }
        let auth = secrets.get(DRIFTQ_AUTH_HEADER).map(Secret::expose);
        if let Some(exposed) = all().find(|address| auth.is_some() && address.is_exposed()) {
            let problem = format!(
                "would be sent unencrypted to {exposed}; write https:// in {} and {}, or take this secret out",
                Role::Accepting.variable(),
                Role::Draining.variable()
            );
            return Err(ConfigError::one("secrets", DRIFTQ_AUTH_HEADER, problem));
        }
        let topic = |address: &driftq_client::Address| {
            let broker = driftq_client::Client::new(http.clone(), address.clone(), auth)
                .map_err(|error| ConfigError::one("secrets", DRIFTQ_AUTH_HEADER, error.to_string()))?;
            Ok(Topic { broker, name: environment.topic.clone(), partitions: environment.partitions })
        };
        let topics =
            |addresses: &[driftq_client::Address]| addresses.iter().map(topic).collect::<Result<Vec<_>, _>>();
        Ok(Self::new(topic(first)?, topics(more)?, topics(draining)?))
    }

    /// The first that gets new commands.
    #[must_use]
    pub fn first(&self) -> &Topic {
        &self.first
    }

    /// The topics that get new commands: at least one.
    pub fn accepting(&self) -> impl Iterator<Item = &Topic> {
        iter::once(&self.first).chain(&self.more)
    }

    /// The topics that are read and get nothing new.
    pub fn draining(&self) -> impl Iterator<Item = &Topic> {
        self.draining.iter()
    }

    /// Where commands of a business key go: to one accepting topic, always the same.
    ///
    /// Chosen by rendezvous hashing: the broker with the highest hash of its name and the key. A broker that is added or
    /// removed moves only the keys that it gets or had, and the order of the configuration does not matter.
    #[must_use]
    pub fn for_key(&self, business_key: &str) -> &Topic {
        if self.more.is_empty() {
            return &self.first;
        }
        let weight = |topic: &Topic| weight(topic.broker_name(), business_key);
        let highest = self.more.iter().fold((weight(&self.first), &self.first), |highest, topic| {
            let weight = weight(topic);
            if weight.as_ref() > highest.0.as_ref() { (weight, topic) } else { highest }
        });
        highest.1
    }
}

/// The weight of a broker for a key. The zero byte, which no broker's name contains, ensures that no two
/// pairs hash the same text.
fn weight(broker: &str, business_key: &str) -> Digest {
    digest(&SHA256, [broker, "\0", business_key].concat().as_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use driftq_client::Client;
    use proptest::prelude::*;

    use super::*;

    /// A broker for each number, and none that is draining.
    fn topics(brokers: &[u8]) -> Topics {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::new();
        let mut all = brokers.iter().map(|number| {
            let address = format!("http://10.0.0.{number}:8080").parse().unwrap();
            let broker = Client::new(http.clone(), address, None).unwrap();
            Topic { broker, name: "commands".to_owned(), partitions: 1 }
        });
        let first = all.next().unwrap();
        Topics::new(first, all.collect(), Vec::new())
    }

    fn chosen(topics: &Topics, key: &str) -> String {
        topics.for_key(key).broker_name().to_owned()
    }

    /// The expected brokers were computed by Python's hashlib.
    #[test]
    fn the_choice_is_the_same_in_every_version() {
        let topics = topics(&[1, 2, 3]);
        let chosen = ["dp_1", "dp_4", "dp_6", ""].map(|key| chosen(&topics, key));
        assert_eq!(chosen, ["3", "1", "2", "2"].map(|number| format!("http://10.0.0.{number}:8080")));
    }

    #[test]
    fn keys_spread_evenly() {
        let topics = topics(&[1, 2, 3, 4]);
        let mut counts = BTreeMap::<_, u32>::new();
        for key in 0..4000 {
            *counts.entry(chosen(&topics, &format!("dp_{key}"))).or_default() += 1;
        }
        assert_eq!(counts.len(), 4);
        // 1000 each; 100 is 3.6 standard deviations.
        assert!(counts.values().all(|count| (900..=1100).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_draining_broker_gets_nothing_new() {
        let (new, old) = (topics(&[1]), topics(&[2]));
        let topics = Topics::new(new.first, Vec::new(), vec![old.first]);
        assert!((0..100).all(|key| chosen(&topics, &key.to_string()) == "http://10.0.0.1:8080"));
        let draining: Vec<_> = topics.draining().map(Topic::broker_name).collect();
        assert_eq!(draining, ["http://10.0.0.2:8080"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn order_does_not_matter_and_a_removed_broker_moves_only_its_keys(
            brokers in Just((1..=5).collect::<Vec<u8>>()).prop_shuffle(),
            keys in prop::collection::vec("(?s).{0,20}", 20),
        ) {
            let (all, without) = (topics(&brokers), topics(&brokers[1..]));
            let removed = all.first.broker_name();
            let ordered = topics(&[1, 2, 3, 4, 5]);
            for key in keys {
                let before = chosen(&all, &key);
                prop_assert_eq!(&before, &chosen(&ordered, &key));
                if before != removed {
                    prop_assert_eq!(before, chosen(&without, &key));
                }
            }
        }
    }
}
