//! Headless Chromium, driven through the W3C WebDriver protocol. This needs only four requests, while the existing client crates
//! depend on second versions of a dozen crates.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The text of a page, in one line.
const TEXT: &str = r"document.body.innerText.replace(/\s+/g, ' ')";
/// The timeout of one question to a page, which is then repeated.
const QUESTION: Duration = Duration::from_secs(6);
/// The maximum number of open browsers: a small machine can't render more at a time.
const AT_ONCE: usize = 2;
/// How elements are found.
pub(super) const CSS: &str = "css selector";

/// The time limit for an expected change of a page.
const PATIENCE: Duration = Duration::from_secs(20);

/// A browser with one window.
pub(super) struct Browser {
    driver: Child,
    http: reqwest::Client,
    port: u16,
    path: String,
    _place: SemaphorePermit<'static>,
}

/// Chromium's driver and its port; none if it has ended at once.
fn driver() -> Option<(Child, u16)> {
    let mut driver = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
    let port =
        lines.find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok());
    // Reads on, so that the driver can continue to write.
    thread::spawn(move || lines.for_each(drop));
    if port.is_none() {
        driver.wait().unwrap();
    }
    Some((driver, port?))
}

impl Browser {
    /// None if this machine has no Chromium, which is a failure with `CI=true`.
    pub(super) async fn open() -> Option<Self> {
        static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);
        let place = PLACES.acquire().await.unwrap();
        if Command::new("chromedriver").arg("--version").stdout(Stdio::null()).status().is_err() {
            let message = "there is no chromedriver on this machine, so no page is looked at: apt-get install chromium-driver";
            assert!(env::var("CI").as_deref() != Ok("true"), "{message}");
            println!("skipped: {message}");
            return None;
        }
        // The driver chooses a free port by itself, and ends if another process takes that port first.
        let (driver, port) = (0..5).find_map(|_| driver()).expect("chromedriver starts");
        let http = local::http::client_for("http://").unwrap();
        let mut browser = Self { driver, http, port, path: String::new(), _place: place };
        let options =
            json!({ "args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] });
        let capabilities = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let session = browser.ask("session", capabilities).await.unwrap();
        browser.path = format!("/session/{}", session["sessionId"].as_str().unwrap());
        browser
            .ask("timeouts", json!({ "script": QUESTION.as_millis(), "implicit": PATIENCE.as_millis() }))
            .await
            .unwrap();
        Some(browser)
    }

    fn url(&self, what: &str) -> String {
        format!("http://127.0.0.1:{}{}/{what}", self.port, self.path)
    }

    async fn ask(&self, what: &str, body: Value) -> Result<Value, Value> {
        Self::answer(self.http.post(self.url(what)).body(body.to_string())).await
    }

    async fn get(&self, what: &str) -> Value {
        Self::answer(self.http.get(self.url(what))).await.unwrap()
    }

    async fn answer(request: reqwest::RequestBuilder) -> Result<Value, Value> {
        let answer = request.timeout(PATIENCE * 2).send().await.unwrap();
        let is_fine = answer.status().is_success();
        let mut value: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        let value = value["value"].take();
        if is_fine { Ok(value) } else { Err(value) }
    }

    /// Chromium's own protocol, for what WebDriver does not support.
    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.ask("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await.unwrap()
    }

    /// Sets the window's width, and whether the system prefers dark colours.
    pub(super) async fn look(&self, width: u32, dark: bool) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = json!({ "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } });
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [scheme] })).await;
    }

    /// Turns scripts off, for this page and later ones.
    pub(super) async fn without_scripts(&self) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    }

    pub(super) async fn go(&self, url: &str) {
        self.ask("url", json!({ "url": url })).await.unwrap();
    }

    /// Opens another tab, which is then in front.
    pub(super) async fn new_tab(&self) -> String {
        let tab = self.ask("window/new", json!({ "type": "tab" })).await.unwrap()["handle"].take();
        let tab = tab.as_str().unwrap().to_owned();
        self.to_tab(&tab).await;
        tab
    }

    pub(super) async fn to_tab(&self, tab: &str) {
        self.ask("window", json!({ "handle": tab })).await.unwrap();
        self.devtools("Page.bringToFront", json!({})).await;
    }

    pub(super) async fn tab(&self) -> String {
        self.get("window").await.as_str().unwrap().to_owned()
    }

    /// The value of an expression on the page.
    pub(super) async fn value(&self, expression: &str) -> Value {
        let script = format!("return {expression}");
        self.ask("execute/sync", json!({ "script": script, "args": [] })).await.unwrap()
    }

    /// Waits until an expression is true, on this page or on one that it leads to.
    pub(super) async fn until(&self, expression: &str) {
        let script = format!(
            "const tell = arguments[0]; const look = () => {{ if ({expression}) tell(); else setTimeout(look, 20); }}; look();"
        );
        let began = Instant::now();
        // If the browser leaves the page, the question gets no answer, and sometimes the driver does not report that.
        while self.ask("execute/async", json!({ "script": script, "args": [] })).await.is_err() {
            let is_late = began.elapsed() > PATIENCE;
            assert!(!is_late, "{expression} does not become true:\n{}", self.text().await);
        }
    }

    /// Waits until the page says this.
    pub(super) async fn until_says(&self, text: &str) {
        let text = Value::from(text);
        self.until(&format!("{TEXT}.includes({text})")).await;
    }

    /// The whole text of the page.
    pub(super) async fn text(&self) -> String {
        self.value(TEXT).await.as_str().unwrap().to_owned()
    }

    async fn element(&self, using: &str, what: &str) -> String {
        let found = self.ask("element", json!({ "using": using, "value": what })).await;
        let found = found.unwrap_or_else(|error| panic!("{what}: {error}"));
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    /// Clicks the visible link or button with this text.
    pub(super) async fn click_on(&self, text: &str) {
        let says = format!("//*[self::a or self::button][normalize-space(.)='{text}']");
        self.click("xpath", &says).await;
    }

    /// Clicks the element that this finds.
    pub(super) async fn click(&self, using: &str, what: &str) {
        loop {
            let element = self.element(using, what).await;
            match self.ask(&format!("element/{element}/click"), json!({})).await {
                // An update of the page may replace the element between finding and clicking it.
                Err(error) if error["error"] == "stale element reference" => {}
                clicked => return drop(clicked.unwrap()),
            }
        }
    }

    pub(super) async fn type_into(&self, css: &str, text: &str) {
        let element = self.element(CSS, css).await;
        self.ask(&format!("element/{element}/value"), json!({ "text": text })).await.unwrap();
    }

    /// Presses keys, wherever the focus is.
    pub(super) async fn press(&self, keys: &str) {
        let strokes = keys.chars().flat_map(|key| {
            ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
        });
        let strokes: Vec<_> = strokes.collect();
        let actions = json!({ "actions": [{ "type": "key", "id": "keys", "actions": strokes }] });
        self.ask("actions", actions).await.unwrap();
    }

    fn end_session(&self) -> io::Result<()> {
        let mut driver = TcpStream::connect(("127.0.0.1", self.port))?;
        driver.set_read_timeout(Some(PATIENCE))?;
        let (path, port) = (&self.path, self.port);
        write!(driver, "DELETE {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n")?;
        // The driver answers once Chromium has ended, and leaves the connection open.
        driver.read(&mut [0; 64]).map(drop)
    }

    /// Saves a picture of the whole page among the test's files.
    pub(super) async fn picture(&self, name: &str) {
        let size = "({ x: 0, y: 0, scale: 1, width: innerWidth, height: document.body.scrollHeight + 16 })";
        let page = json!({ "captureBeyondViewport": true, "clip": self.value(size).await });
        let picture = self.devtools("Page.captureScreenshot", page).await["data"].take();
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("console");
        fs::create_dir_all(&folder).unwrap();
        let picture = BASE64_STANDARD.decode(picture.as_str().unwrap()).unwrap();
        fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium does not end with its driver, so its session is ended first. `drop` can't await, so this request blocks.
        let _ = self.end_session();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
