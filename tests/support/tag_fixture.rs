//! What the tag's journeys share: a relay, a fake ad platform, and a website with landing pages.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::platform::{Act, Platform, Received};
use crate::support::relay::{Relay, Setup, wait_until};

/// The pages of one website, by their paths; shared with the threads that serve them.
type Pages = Arc<Mutex<Vec<(String, String)>>>;

pub struct TagFixture {
    pub relay: Relay,
    pub platform: Platform,
    web: Platform,
    pages: Pages,
    folder: tempfile::TempDir,
}

/// Whose hosts these are: the landing page and the relay are one's own, the network is another's.
const SHOP: &str = "www.shop.test";
const TRACKER: &str = "t.shop.test";
pub const NETWORK: &str = "network.test";

impl TagFixture {
    pub fn new() -> TagFixture {
        TagFixture::with("")
    }

    /// With more tables of the network's side.
    pub fn with(tables: &str) -> TagFixture {
        let platform = Platform::accepting();
        let pages: Pages = Arc::default();
        let kept = Arc::clone(&pages);
        let web = Platform::start(move |asked| page(&kept, asked));
        let folder = tempfile::tempdir().unwrap();
        let mut setup = setup(&folder, platform.address, web.address);
        setup.extra += tables;
        let relay = setup.start();
        TagFixture { relay, platform, web, pages, folder }
    }

    /// Ends the relay as a power cut does and starts another with the same data, on another port.
    pub fn again(self) -> TagFixture {
        let TagFixture { relay, platform, web, pages, folder } = self;
        relay.kill();
        let relay = setup(&folder, platform.address, web.address).start();
        TagFixture { relay, platform, web, pages, folder }
    }

    pub fn shop(&self, path: &str) -> String {
        format!("http://{SHOP}:{}{path}", self.web.address.port())
    }

    /// A page of the network, where offer links lead.
    pub fn network(&self, path: &str) -> String {
        format!("http://{NETWORK}:{}{path}", self.web.address.port())
    }

    pub fn tracker(&self, path: &str) -> String {
        format!("http://{TRACKER}:{}{path}", self.relay.address.port())
    }

    /// Puts a page up; its path may end in `*`.
    pub fn put(&self, path: &str, html: &str) {
        let mut pages = self.pages.lock().unwrap();
        pages.retain(|(known, _)| known != path);
        pages.push((path.to_owned(), html.to_owned()));
    }

    /// The script element of the tag.
    pub fn tag(&self, attributes: &str) -> String {
        format!("<script src=\"{}\" {attributes}></script>", self.tracker("/tag.js"))
    }

    /// The click with this id, once it is recorded.
    pub fn click(&self, id: &str) -> Value {
        let path = format!("/api/v1/clicks/{id}");
        let mut found = Value::Null;
        let there = wait_until(Duration::from_secs(10), || {
            found = self.relay.try_api(&path).unwrap_or_default();
            !found.is_null()
        });
        assert!(there, "the click {id} is recorded");
        found
    }

    /// Waits until the click with this id has this answer to the question of consent.
    pub fn answered(&self, id: &str, ad_user_data: bool) {
        let answered = || self.click(id)["consent"]["ad_user_data"] == ad_user_data;
        assert!(wait_until(Duration::from_secs(15), answered), "{}", self.click(id));
    }

    /// Every event that the ad platform has of this name, once there are `count`.
    pub fn reported(&self, event: &str, count: usize) -> Vec<Value> {
        let events = || -> Vec<Value> {
            let all = self.platform.received().into_iter().map(|received| received.json()["data"][0].clone());
            all.filter(|reported| reported["event_name"] == event).collect()
        };
        let enough = wait_until(Duration::from_secs(15), || events().len() >= count);
        assert!(enough, "{} of {count} events {event} were received", events().len());
        events()
    }

    /// The conversions of a source.
    pub fn conversions(&self, source: &str) -> Vec<Value> {
        let reported = self.relay.api(&format!("/api/v1/conversions?source={source}"));
        reported["items"].as_array().unwrap().clone()
    }
}

fn setup(folder: &tempfile::TempDir, platform: SocketAddr, web: SocketAddr) -> Setup {
    let mut setup = Setup::cake_to_meta(folder.path(), platform);
    setup.server = format!("public_url = \"http://{TRACKER}:0\"\n");
    setup.extra = setup.extra.replacen(
        "template = \"cake\"\n",
        &format!("template = \"cake\"\nlink_hosts = [\"{NETWORK}\"]\nlink_paths = [\"/go/*\"]\n"),
        1,
    );
    // What advertisers report goes where it is asked for.
    setup.extra += &format!(
        r#"
[destination.only]
source = ["cake-test", "tag", "pixel", "cake-api"]

[tag]
origins = ["http://{SHOP}:{port}"]
max_per_second_per_ip = 50

[filters]
bot = {{ mode = "observe" }}

[[affiliate]]
id = "200"
name = "Example Media"

[[offer]]
id = "565"
advertiser = "31"
url = "http://{SHOP}:{port}/lp?pb_cid={{click_id}}"
pass = ["fbclid", "utm_*"]
currency = "USD"
payout = "7.00"
accept_pixel_value = true
report_by = ["api", "pixel", "server"]

[[campaign]]
id = "8599"
offer = "565"
affiliate = "200"
creative = "761"
"#,
        port = web.port()
    );
    setup
}

fn page(pages: &Pages, asked: &Received) -> Act {
    let path = asked.target.split('?').next().unwrap_or_default();
    let pages = pages.lock().unwrap();
    let fits = |known: &str| known.strip_suffix('*').map_or(known == path, |start| path.starts_with(start));
    match pages.iter().find(|(known, _)| fits(known)) {
        Some((_, html)) => Act::ok(html).with_header("Content-Type", "text/html; charset=utf-8"),
        None => Act::status(404, ""),
    }
}

/// The click id in the query of a URL.
pub fn param(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// Where screenshots are left to be looked at.
pub fn pictures() -> std::path::PathBuf {
    let folder = std::env::var_os("POSTBRIDGE_SCREENSHOTS");
    let folder =
        folder.map_or_else(|| std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("tag"), Into::into);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A message as the tag sends it.
pub fn message(click: &str, more: Value) -> Value {
    let mut message = json!({"click_id": click, "at": 1_790_000_000_000_i64, "now": 1_790_000_000_000_i64});
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    message
}

/// A script for a page, before that of the tag: it writes down what the tag sends, in the tab's own storage,
/// and plays a relay that cannot be reached where `sessionStorage.relay` is `down`, or one that answers the
/// status that is there.
pub const RECORDER: &str = r"<script>
(() => {
  const noted = (by, url, body) => {
    const path = new URL(url).pathname;
    if (path.startsWith('/t/')) {
      const sent = JSON.parse(sessionStorage.sent || '[]').concat([{ by, path, body: JSON.parse(body) }]);
      sessionStorage.sent = JSON.stringify(sent);
    }
    return sessionStorage.relay;
  };
  const [fetched, beaconed] = [window.fetch, navigator.sendBeacon.bind(navigator)];
  window.fetch = (url, init) => {
    const plays = noted('fetch', url, init.body);
    return !plays ? fetched(url, init)
      : plays === 'down' ? Promise.reject(new TypeError('down'))
      : Promise.resolve(new Response(null, { status: +plays }));
  };
  navigator.sendBeacon = (url, body) => !noted('beacon', url, body) && beaconed(url, body);
})();
</script>";

/// What the tag has sent from this tab, oldest first.
pub fn sent(page: &mut crate::support::browser::Page) -> Vec<Value> {
    page.value("JSON.parse(sessionStorage.sent || '[]')").as_array().unwrap().clone()
}
