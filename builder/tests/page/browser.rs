//! A headless Chromium, driven over its DevTools protocol. In: a page's file. Out: what the page is and does.
//!
//! The protocol comes through two pipes, as JSON objects that end in a zero byte: so there is neither a port nor a WebSocket, and the
//! handful of calls that the tests need takes no library that first generates and compiles all of the protocol.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long an answer may take; on an idle machine, they take milliseconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Keeps the browser from what it does on its own, in the network above all.
const FLAGS: [&str; 9] = [
    "--headless",
    // The sandbox refuses to start as root, and cannot be made without rights that containers lack. The pages are our own.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
];

/// What tells of trouble on a page, or of a request.
const TELLING: [&str; 5] = [
    "Audits.issueAdded",
    "Log.entryAdded",
    "Network.requestWillBeSent",
    "Runtime.consoleAPICalled",
    "Runtime.exceptionThrown",
];

/// A browser with one page; ended on drop.
pub(crate) struct Browser {
    process: Child,
    calls: Option<ChildStdin>,
    messages: Receiver<Value>,
    session: Option<String>,
    last: u64,
    events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Opens the page in a file.
    pub(crate) fn open(page: &Path) -> Self {
        let profile = TempDir::new().unwrap();
        // The browser reads calls from descriptor 3 and answers on 4.
        let mut process = Command::new("sh")
            .args([
                "-c",
                r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#,
                "sh",
                "chromium",
            ])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answers = BufReader::new(process.stdout.take().unwrap()).split(0);
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            while let Some(Ok(message)) = answers.next() {
                let message = serde_json::from_slice(&message).unwrap();
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            calls: process.stdin.take(),
            process,
            messages,
            session: None,
            last: 0,
            events: Vec::new(),
            _profile: profile,
        };
        browser.attach();
        browser.show(page);
        browser
    }

    fn attach(&mut self) {
        let target = self.call("Target.createTarget", json!({"url": "about:blank"}));
        let id = &target["targetId"];
        let attached = self.call(
            "Target.attachToTarget",
            json!({"targetId": id, "flatten": true}),
        );
        self.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network", "Audits"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        // Without it, a page in no window has no focus.
        self.call(
            "Emulation.setFocusEmulationEnabled",
            json!({"enabled": true}),
        );
    }

    fn show(&mut self, page: &Path) {
        let shown = self.call(
            "Page.navigate",
            json!({"url": format!("file://{}", page.display())}),
        );
        assert!(shown.get("errorText").is_none(), "{shown}");
        while !self
            .events
            .iter()
            .any(|event| event["method"] == "Page.loadEventFired")
        {
            let event = self.message();
            self.events.push(event);
        }
    }

    fn message(&self) -> Value {
        let message = self.messages.recv_timeout(PATIENCE);
        message
            .expect("an answer of chromium (Debian's package chromium; .ci/setup test installs it)")
    }

    /// Calls a method of the protocol, and gives its result.
    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut call = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            call["sessionId"] = json!(session);
        }
        let calls = self.calls.as_mut().unwrap();
        // Where the browser is not there, the answer is missing too, and says so.
        let _ = calls.write_all(format!("{call}\0").as_bytes());
        loop {
            let mut message = self.message();
            if message["id"] == self.last {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    /// The value of an expression in the page.
    #[track_caller]
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "returnByValue": true});
        let mut result = self.call("Runtime.evaluate", parameters);
        assert!(
            result.get("exceptionDetails").is_none(),
            "{expression}: {result}"
        );
        result["result"]["value"].take()
    }

    /// Presses a key, and lets it go.
    pub(crate) fn press(&mut self, key: &str, code: u32, text: &str) {
        let mut event = json!({"key": key, "code": key, "windowsVirtualKeyCode": code});
        for (kind, text) in [("keyDown", text), ("keyUp", "")] {
            event["type"] = json!(kind);
            event["text"] = json!(text);
            self.call("Input.dispatchKeyEvent", event.clone());
        }
    }

    /// A window of this width, as on a phone where it is narrow.
    pub(crate) fn resize(&mut self, width: u32) {
        let size =
            json!({"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// The medium, and whether it is dark.
    pub(crate) fn medium(&mut self, medium: &str, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call(
            "Emulation.setEmulatedMedia",
            json!({"media": medium, "features": features}),
        );
    }

    /// What went wrong so far, and every request but that for the page.
    pub(crate) fn troubles(&mut self) -> Vec<Value> {
        // What happened before an answer was told before it.
        self.value("1");
        let told = self.events.iter().filter(|event| {
            let is_page = event["params"]["type"] == "Document"
                && event["params"]["request"]["url"]
                    .as_str()
                    .is_some_and(|url| url.starts_with("file:"));
            TELLING.iter().any(|method| event["method"] == *method) && !is_page
        });
        told.cloned().collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends with its pipe, and takes its own processes along; the profile is removed when all of them are gone.
        self.calls = None;
        while self.messages.recv_timeout(PATIENCE).is_ok() {}
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
