//! Convoy's advanced signatures: `X-Convoy-Signature: t=1700000000,v1=<hex>`, the HMAC of `t,body`
//! (<https://docs.getconvoy.io/product-manual/signatures>). Its simple ones are `hmac`.
//!
//! Convoy forwards other people's events, so their ids are wherever those people put them: the source's `run_id` says.

use super::timed::Timed;

pub(super) const FORMAT: Timed =
    Timed { header: "x-convoy-signature", separator: ',', time: "t", signature: "v1", border: "," };
