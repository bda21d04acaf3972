//! `[server]`, `[store]`, `[templates]` and `[api]`: where it listens, what it keeps, who may ask.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use url::Url;

use crate::config::names::ADVERTISER;
use crate::config::secrets::Secret;
use crate::domain::ids::AdvertiserId;
use crate::domain::rights::{Right, Rights};
use crate::domain::secret_strength::weakness;
use crate::template::diagnostic::{Problem, access, did_you_mean};
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;

/// How the program is reached.
#[derive(Debug, Clone)]
pub struct Server {
    pub listen: SocketAddr,
    /// What printed URLs begin with; without a slash at its end. Where the file names none, it is
    /// made of `listen`.
    pub public_url: String,
    /// Where pages, API and metrics move to, away from the postbacks.
    pub admin_listen: Option<SocketAddr>,
    /// Only these peers may say `X-Forwarded-For`.
    pub trusted_proxies: Vec<IpNet>,
    /// `/metrics` needs no token, also where it is not on `admin_listen`.
    pub open_metrics: bool,
    pub max_body_bytes: usize,
    /// Where a click without an offer goes.
    pub fallback_url: Option<String>,
    pub max_connections: usize,
    /// From a connection's first byte (or a request's) to the end of its head.
    pub head_timeout_ms: u64,
    /// From the end of the head to the end of the body.
    pub body_timeout_ms: u64,
    /// How long a connection may stay silent between two requests.
    pub idle_timeout_ms: u64,
    pub tls: Option<Tls>,
}

/// The certificate chain and its key, both PEM files; read when the server starts and on reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Server {
    /// Reads `[server]`, whose problems are kept; `None` where not even `public_url` can be known.
    pub fn read(section: Table<'_>) -> Option<Server> {
        let tls = read_tls(&section);
        let listen = section.parsed("listen", address);
        let public_url = public_url(&section, listen);
        let server = Server {
            public_url: String::new(),
            admin_listen: section.parsed("admin_listen", address),
            trusted_proxies: section.all_parsed("trusted_proxies", network).unwrap_or_default(),
            open_metrics: section.flag("open_metrics").unwrap_or_default(),
            max_body_bytes: section.number("max_body_bytes", 1024..=16 * 1024 * 1024).unwrap_or_default(),
            fallback_url: section.parsed("fallback_url", |text| web_url(text).map(String::from)),
            max_connections: section.number("max_connections", 1..=1_000_000).unwrap_or_default(),
            head_timeout_ms: section.number("head_timeout_ms", 100..=600_000).unwrap_or_default(),
            body_timeout_ms: section.number("body_timeout_ms", 100..=600_000).unwrap_or_default(),
            idle_timeout_ms: section.number("idle_timeout_ms", 100..=3_600_000).unwrap_or_default(),
            listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))),
            tls,
        };
        if server.admin_listen == Some(server.listen) && server.listen.port() != 0 {
            section.problem(
                "admin_listen",
                format!("`admin_listen` is {}, the same as `listen`", server.listen),
                "give the pages another port, or leave `admin_listen` out to serve all on one",
            );
        }
        section.finish();
        public_url.map(|public_url| Server { public_url, ..server })
    }
}

fn read_tls(server: &Table<'_>) -> Option<Tls> {
    let section = server.table("tls")?;
    let readable = |key: &'static str| {
        let path = section.document().path(&section.required_text(key, "\"….pem\"")?.value);
        match std::fs::File::open(&path) {
            Ok(_) => Some(path),
            Err(error) => {
                let what = format!("`{key}` in [server.tls]: {} cannot be read", path.display());
                let usual = "name a PEM file; relative paths start from the configuration's folder";
                let problem = access::problem(&path, &what, &error, usual);
                section.problem(key, problem.what, problem.hint);
                None
            }
        }
    };
    let (certificate, key) = (readable("certificate"), readable("key"));
    if let Some((path, mode)) = key.as_ref().and_then(|key| Some((key, access::readable_by_others(key)?))) {
        let warning = access::exposed(&format!("`key` in [server.tls]: {}", path.display()), path, mode);
        section.warning("key", warning.what, warning.hint);
    }
    section.finish();
    Some(Tls { certificate: certificate?, key: key? })
}

/// What printed URLs begin with; `None` where what it is made of has a problem.
fn public_url(section: &Table<'_>, listen: Option<SocketAddr>) -> Option<String> {
    let given = section.parsed("public_url", |text| {
        let url = web_url(text)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Problem::new(
                format!("{} has a query or a fragment", text.shown()),
                "end it after the host or a path",
            ));
        }
        Ok(url.as_str().trim_end_matches('/').to_owned())
    });
    if section.has("public_url") {
        return given;
    }
    let listen = listen?;
    if !listen.ip().is_loopback() {
        section.warning(
            "listen",
            "[server] has no `public_url`: printed URLs begin with `listen`, which networks cannot reach",
            "add the address that networks use: public_url = \"https://t.example.com\"",
        );
    }
    let scheme = if section.has("tls") { "https" } else { "http" };
    Some(format!("{scheme}://{listen}"))
}

fn address(text: &Text) -> Result<SocketAddr, Problem> {
    text.value.parse().map_err(|_| {
        Problem::new(
            format!("{} is not an address with a port", text.shown()),
            "write an IP address and a port: \"127.0.0.1:8080\", or \"0.0.0.0:8080\" for every IPv4 interface",
        )
    })
}

/// One address, or a network of them.
pub fn network(text: &Text) -> Result<IpNet, Problem> {
    let single = || text.value.parse::<std::net::IpAddr>().ok().map(IpNet::from);
    text.value.parse().ok().or_else(single).map(canonical).ok_or_else(|| {
        Problem::new(
            format!("{} is not an address or a network", text.shown()),
            "write \"10.0.0.0/8\" or one address such as \"10.1.2.3\"",
        )
    })
}

/// Addresses are compared in their one spelling: IPv4 addresses that are written as IPv6 ones (`::ffff:192.0.2.1`, RFC
/// 4291 §2.5.5.2) are IPv4.
fn canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => v6.addr().to_ipv4_mapped().zip(Some(v6.prefix_len() - 96)),
        IpNet::V6(_) | IpNet::V4(_) => None,
    };
    let v4 = mapped.and_then(|(address, length)| IpNet::new(address.into(), length).ok());
    v4.unwrap_or(network)
}

/// An `http` or `https` URL with a host and without a name or password in it.
pub fn web_url(text: &Text) -> Result<Url, Problem> {
    let hint = "write a whole URL such as \"https://t.example.com\"";
    let url = Url::parse(&text.value)
        .map_err(|error| Problem::new(format!("{} is not a URL: {error}", text.shown()), hint))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(Problem::new(format!("{} is not a web address", text.shown()), hint));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::new(
            "the URL carries a user name or a password",
            "take the part before `@` out; secrets have their own settings",
        ));
    }
    Ok(url)
}

/// What keeps the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The embedded store: one folder, no other program.
    Embedded,
}

/// Where data is and how long it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    pub engine: Engine,
    /// The data folder; seen from the configuration's folder when relative.
    pub path: PathBuf,
    /// The folder below which the running relay writes backups; `None`: nowhere. As `path` where relative.
    pub backup_dir: Option<PathBuf>,
    /// Free space below which less and less is recorded; 0: none. At most a tenth of the file system.
    pub reserve_mb: u32,
    /// The largest size of a file of the journal.
    pub segment_mb: u32,
    pub keep_conversions_days: u32,
    pub keep_postbacks_days: u32,
    pub keep_clicks_days: u32,
    /// How long what waits for a destination is kept that is not configured any more.
    pub keep_removed_hours: u32,
}

impl StoreSettings {
    /// Reads `[store]`; `None` when a problem was kept.
    pub fn read(section: Table<'_>) -> Option<StoreSettings> {
        let engine = section.parsed("engine", |text| match text.value.as_str() {
            "sled" => Ok(Engine::Embedded),
            "postgres" => Err(Problem::new(
                "the `postgres` engine is not built into this version",
                "write engine = \"sled\": the embedded store needs no other program",
            )),
            other => Err(Problem::new(
                format!("there is no engine `{other}`"),
                match did_you_mean(other, ["sled"]) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "write engine = \"sled\"".to_owned(),
                },
            )),
        });
        let path = section.parsed("path", |text| match text.value.as_str() {
            "" => Err(Problem::new("it is empty", "name the folder that keeps the data: path = \"data\"")),
            path => Ok(section.document().path(path)),
        });
        let backup_dir = section.parsed("backup_dir", |text| match text.value.as_str() {
            "" => Err(Problem::new("it is empty", "name a folder: backup_dir = \"/var/backups/postbridge\"")),
            path => Ok(section.document().path(path)),
        });
        let reserve_mb = section.number("reserve_mb", 0..=1_000_000);
        let segment_mb = section.number("segment_mb", 1..=1024);
        let days = 1..=36_500;
        let keep_conversions_days = section.number("keep_conversions_days", days.clone());
        let keep_postbacks_days = section.number("keep_postbacks_days", days.clone());
        let keep_clicks_days = section.number("keep_clicks_days", days);
        let keep_removed_hours = section.number("keep_removed_hours", 0..=8_760);
        section.finish();
        Some(StoreSettings {
            engine: engine?,
            path: path?,
            backup_dir,
            reserve_mb: reserve_mb?,
            segment_mb: segment_mb?,
            keep_conversions_days: keep_conversions_days?,
            keep_postbacks_days: keep_postbacks_days?,
            keep_clicks_days: keep_clicks_days?,
            keep_removed_hours: keep_removed_hours?,
        })
    }
}

/// Who may use the API and sign in to the pages.
#[derive(Debug, Clone, Default)]
pub struct ApiConfig {
    pub tokens: Vec<ApiToken>,
}

/// One token with the name of the person who holds it.
#[derive(Debug, Clone)]
pub struct ApiToken {
    pub name: String,
    pub token: Secret,
    pub rights: Rights,
}

impl ApiConfig {
    /// Reads `[api]`. `advertisers` are those that some offer names.
    pub fn read(section: Table<'_>, advertisers: &[AdvertiserId]) -> ApiConfig {
        let mut tokens: Vec<ApiToken> = Vec::new();
        for entry in section.tables("tokens") {
            let name = entry.required_text("name", "\"ops\"");
            let token = entry.required("token", "{ env = \"POSTBRIDGE_TOKEN\" }", api_token);
            let shown = name.as_ref().map_or_else(|| "without a name".to_owned(), Text::shown);
            let rights = read_rights(&entry, &shown, advertisers);
            if let (Some(name), Some(token)) = (name, token) {
                if tokens.iter().any(|known| known.name == name.value) {
                    let what = format!("two tokens are named {}", name.shown());
                    entry.problem("name", what, "give each token the name of who holds it");
                }
                if tokens.iter().any(|known| known.token == token) {
                    let what = format!("the token of {} is another's too", name.shown());
                    entry.problem("token", what, "give each its own, so that one can be taken back");
                }
                let rights = rights.unwrap_or_else(|| Rights::new(Vec::new()));
                tokens.push(ApiToken { name: name.value, token, rights });
            }
            entry.finish();
        }
        section.finish();
        ApiConfig { tokens }
    }
}

/// What a token may do; `None` when a problem was kept. One that says nothing may do everything, as it
/// always might, and that is remarked.
fn read_rights(entry: &Table<'_>, shown: &str, advertisers: &[AdvertiserId]) -> Option<Rights> {
    let advertiser = entry.parsed("advertiser", |text| ADVERTISER.one_of(text, advertisers));
    if !entry.has("rights") {
        if entry.has("advertiser") {
            let what = format!("the token {shown} names an `advertiser` and no `rights`");
            entry.problem("advertiser", what, "add rights = [\"advertiser\"]");
        }
        let what =
            format!("the token {shown} has no `rights`: it may do everything, also as the network's API");
        let hint = "write which it needs: rights = [\"network\"] for everything, [\"read\"] for looking on";
        entry.warning("token", what, hint);
        return Some(Rights::everything());
    }
    let words = entry
        .all_parsed("rights", |text| text.one_of(&[NETWORK, READ, OF_ADVERTISER].map(|word| (word, word))))?;
    let is_of_advertiser = words.contains(&OF_ADVERTISER);
    if words.is_empty() {
        entry.problem("rights", "`rights` is empty: the token could do nothing", "name one, or take it out");
    }
    if is_of_advertiser != entry.has("advertiser") {
        let hint = "write both: rights = [\"advertiser\"], advertiser = \"31\"";
        let what = match is_of_advertiser {
            true => format!("the token {shown} has the right `advertiser` and does not say of which"),
            false => format!("the token {shown} names an `advertiser` and has no right of one"),
        };
        entry.problem(if is_of_advertiser { "rights" } else { "advertiser" }, what, hint);
        return None;
    }
    let right = |word: &&str| match *word {
        NETWORK => Some(Right::Network),
        READ => Some(Right::Read),
        _ => advertiser.clone().map(Right::Advertiser),
    };
    words.iter().map(right).collect::<Option<Vec<Right>>>().map(Rights::new)
}

const NETWORK: &str = "network";
const READ: &str = "read";
const OF_ADVERTISER: &str = "advertiser";

fn api_token(text: &Text) -> Result<Secret, Problem> {
    let hint = "make one that cannot be guessed: openssl rand -hex 24";
    if !text.value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Problem::new("a token has only visible ASCII characters and no spaces", hint));
    }
    match weakness(&text.value) {
        Some(weakness) => Err(Problem::new(format!("the token {}", weakness.sentence()), hint)),
        None => Ok(Secret::new(&text.value)),
    }
}
