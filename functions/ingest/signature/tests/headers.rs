//! Headers that are there twice, not at all, or open to a second reading.

use super::*;

/// Signs `{}`, lets `change` at the value of the one header, and expects what comes of it.
fn changed(scheme: Scheme, name: &str, change: impl Fn(&str) -> String) -> Result<Verified, Refused> {
    let mut headers = signed(scheme, b"{}");
    let (_, value) = headers.iter_mut().find(|header| header.0 == name).unwrap();
    *value = change(value);
    check(scheme, &headers, b"{}", NOW)
}

#[test]
fn headers_that_read_in_two_ways_are_refused() {
    let [stripe, github, id, timestamp, list] = [
        (Scheme::Stripe, "stripe-signature"),
        (Scheme::Github, "x-hub-signature-256"),
        (Scheme::StandardWebhooks, "webhook-id"),
        (Scheme::StandardWebhooks, "webhook-timestamp"),
        (Scheme::StandardWebhooks, "webhook-signature"),
    ];
    type Case = ((Scheme, &'static str), fn(&str) -> String);
    let cases: [Case; 27] = [
        // What API Gateway makes of two lines, also with the space that some proxies add.
        (stripe, |v| format!("{v},{v}")),
        (stripe, |v| format!("{v}, {v}")),
        (github, |v| format!("{v},{v}")),
        (id, |v| format!("{v},{v}")),
        (timestamp, |v| format!("{v},{v}")),
        (list, |v| format!("{v},{v}")),
        (list, |v| format!("{v}, {v}")),
        // Two times, no time, other ways to write it.
        (stripe, |v| format!("t=1700000000,{v}")),
        (stripe, |v| v.replace("t=1700000000,", "")),
        (stripe, |v| v.replace("t=", "t=+")),
        (stripe, |v| v.replace("t=", "t=0")),
        (stripe, |v| v.replace("t=", "t= ")),
        (stripe, |v| v.replace("t=1700000000", "t=99999999999999999999")),
        (stripe, |v| v.replace("t=1700000000", "t=１７０００００００００")),
        (stripe, |v| format!("{v},")),
        (stripe, |v| format!("{v},v1")),
        (timestamp, |_| String::new()),
        (timestamp, |v| format!("0{v}")),
        (timestamp, |v| format!("{v}.0")),
        (timestamp, |v| format!("{v} ")),
        // Prefixes and borders.
        (github, |v| v.replace("sha256", "SHA256")),
        (github, |v| v.replace("sha256=", "")),
        (github, |v| format!("{v} ")),
        (id, |_| String::new()),
        (id, |v| format!("{v}.1")),
        (list, |v| format!("{v} ")),
        (list, |v| v.replace("v1,", "")),
    ];
    for (index, ((scheme, name), change)) in cases.into_iter().enumerate() {
        assert_eq!(changed(scheme, name, change), Err(Refused::Malformed(name)), "{scheme}, case {index}");
    }
}

#[test]
fn signatures_that_can_not_be_read_match_nothing_and_spoil_nothing() {
    let (stripe, standard) = (Scheme::Stripe, Scheme::StandardWebhooks);
    assert!(changed(stripe, "stripe-signature", |v| v.replace("v1=", "v1=zz,v1=,v1=")).is_ok());
    assert!(changed(stripe, "stripe-signature", |v| format!("x=1,{v}")).is_ok());
    assert_eq!(changed(stripe, "stripe-signature", |v| v.replace("v1=", "v0=")), Err(Refused::Forged));
    assert_eq!(changed(stripe, "stripe-signature", |v| v.replace("v1=", "V1=")), Err(Refused::Forged));
    let list = "webhook-signature";
    assert!(changed(standard, list, |v| format!("v1a,AAAA v2,{} v1,AAAA v1,!! {v}", "A".repeat(43))).is_ok());
    for change in [
        |v: &str| v.replace("v1,", "v1a,"),
        |v: &str| v.replace("v1,", "V1,"),
        |v: &str| v.replace('=', ""),
        |v: &str| format!("{v}="),
        |v: &str| v[..v.len() - 5].to_owned(),
        |_: &str| "v1,".to_owned(),
    ] {
        assert_eq!(changed(standard, list, change), Err(Refused::Forged));
    }
}

#[test]
fn the_window_has_two_sides_and_no_edge_to_fall_off() {
    for scheme in [Scheme::Stripe, Scheme::StandardWebhooks] {
        let headers = signed(scheme, b"{}");
        for inside in [NOW - 300, NOW, NOW + 300] {
            assert!(check(scheme, &headers, b"{}", inside).is_ok(), "{scheme} at {inside}");
        }
        for outside in [NOW - 301, NOW + 301, i64::MIN, i64::MAX] {
            let refused = check(scheme, &headers, b"{}", outside);
            assert_eq!(refused, Err(Refused::OutsideWindow { signed_at: NOW }), "{scheme} at {outside}");
        }
    }
    assert!(
        check(Scheme::Github, &signed(Scheme::Github, b"{}"), b"{}", i64::MAX).is_ok(),
        "has no timestamp"
    );
}

#[test]
fn missing_and_repeated_headers_are_named() {
    for scheme in Scheme::ALL {
        let headers = signed(scheme, b"{}");
        let needed = if scheme == Scheme::StandardWebhooks { 3 } else { 1 };
        for index in 0..needed {
            let mut without = headers.clone();
            let (name, _) = without.remove(index);
            let refused = check(scheme, &without, b"{}", NOW).unwrap_err();
            assert_eq!(refused.to_string(), format!("there is no {name} header"));
            let twice = [&headers[..], &headers[index..=index]].concat();
            let refused = check(scheme, &twice, b"{}", NOW).unwrap_err();
            assert_eq!(refused.to_string(), format!("there are several {name} headers"));
        }
    }
}
