//! Convoy's advanced signatures: `X-Convoy-Signature: t=1700000000,v1=<hex>`, the HMAC of `t,body`
//! (<https://docs.getconvoy.io/product-manual/signatures>). Its simple ones are `hmac`.
//!
//! Convoy forwards other people's events, so their ids are wherever those people put them: the source's `run_id` says.

use super::hmac;
use crate::ingest::signature::{provider::Provider, timed::Timed};

pub(super) static PROVIDER: Provider = Provider::new(
    "convoy-advanced",
    |_, request, keys, window| FORMAT.verify(request, keys, window),
    hmac::identity,
);

const FORMAT: Timed =
    Timed { header: "x-convoy-signature", separator: ',', time: "t", signature: "v1", border: "," };
