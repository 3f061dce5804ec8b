//! The console in a real browser: finding what happened to a webhook, and deciding about parked effects.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    time::Duration,
};

use local::{
    hook::Hook,
    proxy::Fault,
    stack::{Effect, Stack},
    third_party::Behaviour,
    webhook::Webhook,
};

use super::{
    browser::{Browser, CSS},
    operate::{command, park_more, refused},
};

const EVENT: &str = "evt_3SkPqr2eZvKYlo2C0hYt5XwQ";
/// Keys, as WebDriver names them.
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// `cargo webhooks console` about a stack's table, until it is dropped.
struct Console {
    child: Child,
    url: String,
}

impl Console {
    async fn start(stack: &Stack, args: &[&str]) -> Self {
        let mut command = command(stack, &["console"]);
        let mut child = command.args(["--every", "1"]).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let url = tokio::task::spawn_blocking(move || lines.find(|line| line.contains("http://")));
        let url = url.await.unwrap().expect("it prints its URL").trim().to_owned();
        Self { child, url }
    }

    /// The URL of a page, for a browser that has access.
    fn page(&self, name: &str) -> String {
        format!("{}{name}", self.url.split('?').next().unwrap())
    }

    /// The console's origin, as browsers send it in `Origin`.
    fn origin(&self) -> String {
        self.url.split('/').take(3).collect::<Vec<_>>().join("/")
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A console about a stack with one parked ticket, and a browser that has access.
async fn opened() -> Option<(Stack, Effect, Console, Browser)> {
    let browser = Browser::open().await?;
    let (stack, effect) = refused().await;
    let console = Console::start(&stack, &[]).await;
    browser.go(&console.url).await;
    browser.until_says("Last failures").await;
    Some((stack, effect, console, browser))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_to_a_webhook_is_two_clicks_away() {
    let Some((stack, effect, _console, browser)) = opened().await else { return };
    browser.click_on("Webhooks").await;
    browser.until_says("open_ticket ▲ parked").await;
    browser.click_on(EVENT).await;
    browser.until_says("attempt 1: answered 422").await;
    let text = browser.text().await;
    for told in [&*effect.effect_id, "▲ parked", "created", "claimed for the first time", "422"] {
        assert!(text.contains(told), "{told} is not in\n{text}");
    }
    assert!(!text.contains("2599"), "what it was given is shown only if that is asked for");

    browser.click_on("show request").await;
    browser.until_says("POST https://tickets.example.com/api/tickets").await;
    let text = browser.text().await;
    assert!(text.contains("••• (secret TICKETS_TOKEN)") && text.contains("2599"), "{text}");
    stack.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn any_id_leads_to_the_run() {
    let Some((stack, effect, console, browser)) = opened().await else { return };
    for id in [EVENT, &effect.run_id, &effect.effect_id, effect.record["business_key"].as_str().unwrap()] {
        browser.go(&console.page("")).await;
        browser.type_into("input[type=search]", id).await;
        browser.press(ENTER).await;
        browser.until_says("attempt 1: answered 422").await;
    }
    browser.type_into("input[type=search]", "evt_unknown").await;
    browser.press(ENTER).await;
    browser.until_says("Nothing is on record under evt_unknown").await;
    stack.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_shows_new_effects() {
    let Some((stack, _, console, browser)) = opened().await else { return };
    browser.go(&console.page("webhooks?state=done")).await;
    browser.until_says("None of the").await;
    browser.value("document.body.dataset.same = 'yes'").await;
    stack.deliver(&Webhook::sample("github.issues.opened").unwrap()).await.unwrap();
    stack.run_until_settled(Duration::from_secs(40)).await.unwrap();
    browser.until_says("tell_slack ● done").await;
    assert_eq!(browser.value("document.body.dataset.same").await, "yes", "it was not loaded again");
    stack.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_killed_during_a_decision_loses_and_doubles_nothing() {
    let Some((stack, effect, mut console, browser)) = opened().await else { return };
    park_more(&stack, &effect, 300).await;
    stack.third_party.always("/api/tickets", Behaviour::apply());
    browser.click_on("Parked").await;
    browser.until_says("301 parked, the largest groups first").await;
    browser.click_on("plan…").await;
    browser.until_says("301 of 301 parked would be retried").await;
    assert!(stack.effects().await.unwrap().iter().all(Effect::is_parked), "nothing has changed");
    browser.picture("plan").await;

    let dead = std::sync::Arc::new(tokio::sync::Notify::new());
    let (pid, tell) = (console.child.id(), dead.clone());
    let kill = Hook::new(move || {
        let tell = tell.clone();
        async move {
            std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
            tell.notify_one();
        }
    });
    let proxy = stack.table_proxy().unwrap();
    let killed = proxy.once(|seen| seen.is("UpdateItem") && seen.mentions("du_133_"), Fault::HookAfter(kill));
    browser.type_into("input[name=note]", "fixed").await;
    browser.click_on("Try again").await;
    killed.within(Duration::from_secs(30)).await.unwrap();
    dead.notified().await;
    console.child.wait().unwrap();
    // Requests on their way may still arrive.
    let left = stack.effects().await.unwrap().iter().filter(|effect| effect.is_parked()).count();
    assert!((1..301).contains(&left), "{left}");

    let console = Console::start(&stack, &[]).await;
    browser.go(&console.url).await;
    browser.click_on("Parked").await;
    browser.click_on("plan…").await;
    browser.until_says("parked would be retried").await;
    browser.type_into("input[name=note]", "fixed").await;
    browser.click_on("Try again").await;
    browser.until_says("decided. Finished.").await;
    for effect in stack.effects().await.unwrap() {
        let history = effect.record["history"].as_array().unwrap().clone();
        let decisions: Vec<_> = history
            .iter()
            .filter(|entry| entry["what"].as_str().unwrap().starts_with("retry: fixed"))
            .collect();
        assert_eq!((effect.is_parked(), decisions.len()), (false, 1), "{}", effect.effect_id);
        assert!(decisions[0]["by"].as_str().unwrap().ends_with(" in the console"));
    }
    stack.run_until_settled(Duration::from_secs(120)).await.unwrap();
    assert_eq!(stack.third_party.ledger().applied().len(), 301);
    stack.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_tabs_that_decide_the_second_changes_nothing() {
    let Some((stack, effect, console, browser)) = opened().await else { return };
    let plan = console.page(&format!("plan?run_id={}&decision=retry", effect.run_id));
    let first = browser.tab().await;
    browser.go(&plan).await;
    browser.until_says("1 of 1 parked would be retried").await;
    browser.new_tab().await;
    browser.go(&plan.replace("retry", "discard")).await;
    browser.until_says("1 of 1 parked would be discarded").await;
    browser.type_into("input[name=note]", "not wanted").await;
    browser.click_on("Discard").await;
    browser.until_says("1 decided. Finished.").await;
    browser.to_tab(&first).await;
    browser.type_into("input[name=note]", "fixed").await;
    browser.click_on("Try again").await;
    browser.until_says("0 decided. Finished.").await;
    stack.run_until_settled(Duration::from_secs(40)).await.unwrap();
    let now = stack.effect(&effect.effect_id).await.unwrap();
    assert_eq!(now.record["status"], "discarded");
    assert!(stack.third_party.ledger().applied().is_empty());
    stack.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_every_screen_works_by_loading_it() {
    let Some((stack, effect, console, browser)) = opened().await else { return };
    browser.without_scripts().await;
    browser.go(&console.page("parked")).await;
    browser.click_on("plan…").await;
    browser.type_into("input[name=note]", "not wanted").await;
    browser.click(CSS, "a[href*='decision=applied']").await;
    browser.type_into("input[name=note]", "seen there").await;
    browser.click(CSS, "form.confirm button").await;
    browser.click_on("Parked effects").await;
    let done = async { while !stack.effect(&effect.effect_id).await.unwrap().is_done() {} };
    tokio::time::timeout(Duration::from_secs(20), done).await.expect("it is recorded as done");
    stack.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_is_enough() {
    let Some((stack, _, console, browser)) = opened().await else { return };
    browser.go(&console.page("webhooks")).await;
    browser.until_says("open_ticket ▲ parked").await;
    browser.press(TAB).await;
    assert_eq!(browser.value("document.activeElement.textContent").await, "To the content");
    browser.press(ENTER).await;
    // The list is updated every second; the focus stays where it was.
    browser.press(TAB).await;
    browser.until("document.activeElement.classList.contains('event')").await;
    stack.deliver(&Webhook::sample("github.issues.opened").unwrap()).await.unwrap();
    stack.run_until_settled(Duration::from_secs(40)).await.unwrap();
    browser.until_says("tell_slack ● done").await;
    assert_eq!(browser.value("document.activeElement.textContent").await, EVENT);
    browser.press(ENTER).await;
    browser.until_says("attempt 1: answered 422").await;
    stack.finish().await.unwrap();
}

/// It also saves pictures for review.
#[tokio::test(flavor = "multi_thread")]
async fn every_screen_fits_its_window_narrow_and_wide_by_day_and_by_night() {
    let Some((stack, effect, console, browser)) = opened().await else { return };
    park_more(&stack, &effect, 3).await;
    for sample in ["github.issues.opened", "stripe.checkout.session.completed", "billing.invoice.issued"] {
        stack.deliver(&Webhook::sample(sample).unwrap()).await.unwrap();
        stack.run_until_settled(Duration::from_secs(40)).await.unwrap();
    }
    let run = format!("run?id={}", effect.run_id);
    let plan = "plan?step=open_ticket".to_owned();
    let screens = ["", "webhooks", "parked", "destinations", "flow", &run, &plan];
    let names = ["now", "webhooks", "parked", "destinations", "flow", "run", "plan"];
    for (width, dark) in [(360, false), (1024, true), (1024, false), (1920, true)] {
        browser.look(width, dark).await;
        for (screen, name) in screens.iter().zip(names) {
            browser.go(&console.page(screen)).await;
            browser.until("document.querySelector('#live').childElementCount > 0").await;
            let wide = browser.value("document.documentElement.scrollWidth - innerWidth").await;
            assert!(wide.as_i64().unwrap() <= 0, "{name} is {wide} wider than a window of {width}");
            let light = if dark { "dark" } else { "light" };
            browser.picture(&format!("{name}-{width}-{light}")).await;
        }
    }
    stack.finish().await.unwrap();
}

/// A request of another program on this machine, which has the address and perhaps more, in `headers`.
async fn asked(
    console: &Console,
    method: &str,
    page: &str,
    headers: &[(&str, &str)],
    form: &str,
) -> reqwest::Response {
    let client = local::http::client_for("http://").unwrap();
    let mut request = client.request(method.parse().unwrap(), console.page(page)).body(form.to_owned());
    if method == "POST" {
        request = request.header("content-type", "application/x-www-form-urlencoded");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

/// The part of an answer's cookie that a browser sends back.
fn cookie(came: &reqwest::Response) -> String {
    came.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

/// Gets access by the printed URL, without a browser.
async fn come_in(console: &Console) -> reqwest::Response {
    let query = console.url.split_once('?').unwrap().1;
    asked(console, "GET", &format!("?{query}"), &[], "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_printed_url_gives_access_and_only_once() {
    let (stack, effect) = refused().await;
    let console = Console::start(&stack, &[]).await;
    let origin = console.origin();
    for path in ["", "webhooks", "parked", "live.js", "?token=", "?token=x", "nowhere"] {
        assert_eq!(asked(&console, "GET", path, &[], "").await.status(), 401, "{path}");
    }
    let root = local::http::client_for("http://").unwrap().get(&origin).send().await.unwrap();
    assert_eq!(root.status(), 401, "the address alone is not enough");

    let came = come_in(&console).await;
    assert_eq!((came.status().as_u16(), &came.headers()["location"]), (303, &"./".parse().unwrap()));
    let set = came.headers()["set-cookie"].to_str().unwrap();
    let base = console.page("").split('/').nth(3).unwrap().to_owned();
    for part in [&*format!("Path=/{base}/"), "HttpOnly", "SameSite=Strict"] {
        assert!(set.contains(part), "{set}");
    }
    assert_eq!(come_in(&console).await.status(), 401, "the token has been used");

    let cookie = cookie(&came);
    let cookie = ("cookie", &*cookie);
    let shown = asked(&console, "GET", "parked", &[cookie], "").await;
    assert_eq!(shown.status(), 200);
    let policy = shown.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    for (name, value) in
        [("cache-control", "no-store"), ("x-content-type-options", "nosniff"), ("x-frame-options", "DENY")]
    {
        assert_eq!(shown.headers()[name], value);
    }
    for other in [("host", "evil.example.com"), ("host", "localhost")] {
        assert_eq!(asked(&console, "GET", "parked", &[cookie, other], "").await.status(), 421, "{other:?}");
    }
    for other in [
        ("origin", "http://evil.example.com"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        assert_eq!(asked(&console, "GET", "parked", &[cookie, other], "").await.status(), 403, "{other:?}");
    }
    let plan = asked(
        &console,
        "GET",
        &format!("plan?run_id={}&before=2100-01-01T00:00:00Z", effect.run_id),
        &[cookie],
        "",
    )
    .await;
    let page = plan.text().await.unwrap();
    let token = page.split("name=\"form_token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = |token: &str| format!("form_token={token}&note=x&decision=discard&run_id={}", effect.run_id);
    let ours = ("origin", &*origin);
    for (headers, form) in
        [(vec![cookie], form(token)), (vec![cookie, ours], form("x")), (vec![ours], form(token))]
    {
        let refused = asked(&console, "POST", "decide", &headers, &form).await;
        assert!([401, 403].contains(&refused.status().as_u16()), "{headers:?} {}", refused.status());
    }
    let all = format!("form_token={token}&note=x&decision=discard");
    assert_eq!(
        asked(&console, "POST", "decide", &[cookie, ours], &all).await.status(),
        400,
        "an empty filter"
    );
    assert!(stack.effect(&effect.effect_id).await.unwrap().is_parked(), "nobody has decided");
    assert_eq!(asked(&console, "POST", "decide", &[cookie, ours], &form(token)).await.status(), 303);
    stack.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_console_has_no_forms_and_takes_no_decision() {
    let (stack, effect) = refused().await;
    let console = Console::start(&stack, &["--read-only"]).await;
    let cookie = cookie(&come_in(&console).await);
    let cookie = ("cookie", &*cookie);
    let run = format!("run?id={}", effect.run_id);
    for page in ["parked", &run, "plan?step=open_ticket&before=2100-01-01T00:00:00Z"] {
        let shown = asked(&console, "GET", page, &[cookie], "").await.text().await.unwrap();
        assert!(
            shown.contains("open_ticket") && !shown.contains("method=\"post\"") && !shown.contains("decide…"),
            "{shown}"
        );
    }
    let origin = console.origin();
    for page in ["decide", "stop"] {
        let refused = asked(&console, "POST", page, &[cookie, ("origin", &origin)], "").await;
        assert_eq!(refused.status(), 403);
    }
    assert!(stack.effect(&effect.effect_id).await.unwrap().is_parked());
    stack.finish().await.unwrap();
}

/// Another server's page, also on this machine, so that the browser treats it as the same site.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_page_in_the_next_tab_learns_nothing_and_decides_nothing() {
    let Some((stack, effect, console, browser)) = opened().await else { return };
    // This page even has the console's address, which a real page can't find out.
    let address = console.page("");
    let form = format!(
        "<form method=post target=frame action='{address}decide'><input name=run_id value='{}'>\
        <input name=decision value=discard><input name=note value=x><input name=form_token value=x></form>",
        effect.run_id
    );
    let page = format!(
        "<!doctype html><title>prizes</title><iframe name=frame src='{address}parked'></iframe>{form}<script>\
        window.seen = [];\
        Promise.allSettled([\
          fetch('{address}parked', {{ credentials: 'include' }}).then((answer) => answer.text()).then((text) => seen.push(text)),\
          fetch('{address}decide', {{ method: 'POST', mode: 'no-cors', credentials: 'include', body: new URLSearchParams(new FormData(document.forms[0])) }}),\
          new Promise((done) => {{ const stream = new EventSource('{address}parked', {{ withCredentials: true }}); stream.onmessage = (event) => {{ seen.push(event.data); done(); }}; stream.onerror = done; }}),\
          new Promise((done) => {{ frames[0].addEventListener('load', done); document.querySelector('iframe').addEventListener('load', done); document.forms[0].submit(); }}),\
        ]).then(() => {{ window.over = true; }});</script>"
    );
    let answer = local::http::Answer::status(200).with("content-type", "text/html").with_body(page);
    stack.third_party.always("/prizes", Behaviour::answer(answer));
    browser.new_tab().await;
    browser.go(&format!("{}/prizes", stack.third_party.url())).await;
    browser.until("window.over").await;
    assert_eq!(browser.value("window.seen.length").await, 0, "nothing was read");
    let inside = browser
        .value("(() => { try { return frames[0].document.body.innerText } catch (error) { return '' } })()")
        .await;
    assert_eq!(inside, "", "nothing is shown in its frame");
    assert!(stack.effect(&effect.effect_id).await.unwrap().is_parked(), "nothing was decided");
    stack.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn older_pages_skip_nothing_even_within_one_millisecond() {
    let (stack, effect) = refused().await;
    park_more(&stack, &effect, 250).await;
    let console = Console::start(&stack, &[]).await;
    let cookie = cookie(&come_in(&console).await);
    let cookie = ("cookie", &*cookie);
    let (mut page, mut runs, mut pages) = ("webhooks?step=open_ticket".to_owned(), Vec::new(), 0);
    loop {
        let shown = asked(&console, "GET", &page, &[cookie], "").await.text().await.unwrap();
        let links =
            shown.split("href=\"run?id=").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        runs.extend(links);
        pages += 1;
        assert!(pages <= 3, "what was shown is shown again");
        let older = shown.split("rel=\"next\" href=\"").nth(1);
        let Some(older) = older else { break };
        page = older.split('"').next().unwrap().replace("&amp;", "&");
    }
    let count = runs.len();
    runs.sort_unstable();
    runs.dedup();
    assert_eq!((pages, count, runs.len()), (3, 251, 251));
    stack.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_parked_after_the_plan_was_opened_is_not_decided_about() {
    let Some((stack, effect, console, browser)) = opened().await else { return };
    browser.go(&console.page("plan?step=open_ticket&decision=discard")).await;
    browser.until_says("1 of 1 parked would be discarded").await;
    let later = effect.record.to_string().replace("du_", "du_later_").replace("evt_", "evt_later_");
    let mut later: serde_json::Value = serde_json::from_str(&later).unwrap();
    later["due_at"] = (jiff::Timestamp::now().as_millisecond() + 60_000).into();
    stack.table().unwrap().put_all(&[later]).await.unwrap();
    browser.until_says("1 of 2 parked would be discarded").await;
    browser.type_into("input[name=note]", "not wanted").await;
    browser.click_on("Discard").await;
    browser.until_says("1 decided. Finished.").await;
    let parked = stack.effects().await.unwrap().iter().filter(|effect| effect.is_parked()).count();
    assert_eq!(parked, 1);
    stack.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_is_stopped_says_so_and_the_same_plan_goes_on_with_the_rest() {
    let Some((stack, _, console, browser)) = opened().await else { return };
    let proxy = stack.table_proxy().unwrap();
    let held = proxy.once(|seen| seen.is("UpdateItem"), Fault::HangBefore);
    let plan = console.page("plan?step=open_ticket&decision=discard");
    browser.go(&plan).await;
    browser.type_into("input[name=note]", "not wanted").await;
    browser.click_on("Discard").await;
    held.within(Duration::from_secs(30)).await.unwrap();
    browser.until_says("Deciding: 0 so far.").await;
    browser.click_on("Stop").await;
    browser.until_says("Stopped after 0.").await;
    assert!(stack.effects().await.unwrap()[0].is_parked());
    browser.go(&plan).await;
    browser.type_into("input[name=note]", "not wanted").await;
    browser.click_on("Discard").await;
    browser.until_says("1 decided. Finished.").await;
    stack.finish().await.unwrap();
}
