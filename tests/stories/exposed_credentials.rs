//! Credentials that would be sent unencrypted: neither function starts.

use anyhow::{Context, Result};

use local::stack::Stack;

use crate::setup::{builder, config};

#[tokio::test]
async fn a_proxys_credential_goes_to_another_machine_by_https_only() -> Result<()> {
    for (accepting, draining, exposed) in [
        ("http://broker.internal:8080", "", "http://broker.internal:8080"),
        ("https://proxy.example,http://10.0.0.5", "", "http://10.0.0.5"),
        ("http://127.0.0.1:1", "http://old.internal", "http://old.internal"),
    ] {
        let stack = builder(config()?)?.env("DRIFTQ_HTTP_URL", accepting).env("DRIFTQ_DRAIN_URL", draining);
        let error = stack.env("DRIFTQ_AUTH_HEADER", "Bearer s3cret").start().await;
        let error = format!("{:#}", error.err().context("it started")?);
        let why = format!("DRIFTQ_AUTH_HEADER: would be sent unencrypted to {exposed}; write https:// in");
        assert!(error.contains(&why) && !error.contains("s3cret"), "{error}");
        let open = builder(config()?)?.env("DRIFTQ_HTTP_URL", accepting).env("DRIFTQ_DRAIN_URL", draining);
        open.start().await?.abandon();
    }
    let encrypted = builder(config()?)?.env("DRIFTQ_AUTH_HEADER", "Bearer s3cret");
    encrypted
        .env("DRIFTQ_HTTP_URL", "https://proxy.example,http://127.0.0.1:1")
        .start()
        .await
        .map(Stack::abandon)
}
