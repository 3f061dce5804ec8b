//! Third parties whose name resolves to a private or loopback address. No network is needed: the name is this machine's own.

use std::{
    fs, iter,
    net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs},
};

use anyhow::{Context, Result};
use local::{
    stack::Stack,
    third_party::{Ledger, ThirdParty},
};
use toml::{Table, Value, toml};

use crate::setup::{Story, builder, config, deliver, dispute, only_effect, retry, settle, table};

/// A name of this machine other than `localhost`, and its address: in a private network, or loopback.
fn own_name() -> Result<(String, IpAddr)> {
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    let listed = lines.flat_map(|line| line.split_whitespace().skip(1));
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let names =
        iter::once(own.trim()).chain(listed).map(str::to_lowercase).filter(|name| name != "localhost");
    let resolved = |name: String| {
        let address = (name.as_str(), 0).to_socket_addrs().ok()?.next()?.ip();
        (address.is_ipv4() && TcpListener::bind((address, 0)).is_ok()).then_some((name, address))
    };
    let found = names.filter(|name| !name.is_empty()).find_map(resolved);
    found.context("this machine has no name but localhost; add one to /etc/hosts, with 127.0.0.1")
}

/// Delivers a dispute whose ticket is opened at a third party under this machine's name. Returns the effect's state and last error, and the ledger.
async fn called_by_name(allow_private: bool) -> Result<(String, Ledger)> {
    let (name, address) = own_name()?;
    let third_party = ThirdParty::start(SocketAddr::new(address, 0)).await?;
    let port = third_party.url().rsplit_once(':').context("no port")?.1.to_owned();
    let mut config = config()?;
    let step = config.step("open_ticket");
    step.insert("retry".into(), Value::Table(retry(1)));
    step.insert("in_doubt".into(), Value::Table(toml! { policy = "park" }));
    let call = table(step, "call");
    call.remove("auth");
    call.insert("url".into(), format!("http://{name}:{port}/api/tickets").into());
    if allow_private {
        let destination = Table::from_iter([("allow_private".to_owned(), true.into())]);
        let destinations = Table::from_iter([(format!("{name}:{port}"), Value::Table(destination))]);
        config.table().insert("destinations".into(), Value::Table(destinations));
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("webhooks.toml");
    std::fs::write(&file, config.to_string())?;
    let stack: Stack = builder(config)?.env("WEBHOOKS_CONFIG", &file.display().to_string()).start().await?;
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let effect = only_effect(&stack).await?;
    assert!(effect.record["doubt"].is_null(), "{:?}", effect.record);
    stack.finish().await?;
    Ok((format!("{} {}", effect.status, effect.last_error()), third_party.ledger()))
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_not_called_and_not_in_doubt() -> Story {
    let (name, address) = own_name()?;
    let (effect, ledger) = called_by_name(false).await?;
    let why = format!("parked attempts used up; the last: could not connect: {name} resolves to ");
    assert!(effect.starts_with(&why) && effect.contains("allow_private = true"), "{address}: {effect}");
    assert_eq!(ledger.attempts().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_called_if_its_destination_allows_it() -> Story {
    let (effect, ledger) = called_by_name(true).await?;
    assert_eq!((effect.trim(), ledger.applied().len()), ("done", 1));
    Ok(())
}
