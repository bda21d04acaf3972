//! What is served: one row for each path and what may be done with it, and how a path finds its rows.
//!
//! Which methods a path takes, on which listener, which token or session it needs, how large an import may be and what
//! a change is called in the log are read from the row. What an endpoint checks itself (keys, origins, its own limit of
//! a body) is said by its row for the documentation of the HTTP API, which is made of the rows.

pub mod table;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use http::Method;
use matchit::{Params, Router};

use crate::web::auth::RequiredRight;

/// One row of the table: a path, some of its methods, and what is behind them.
pub struct RouteRow {
    /// As `/api/v1/conversions/{id}`; a part in braces is one segment of the path.
    pub path: &'static str,
    /// Those that this row answers; other rows of the same path answer others.
    pub methods: &'static [Method],
    /// It matters only where `admin_listen` is configured.
    pub side: RouteSide,
    /// What keeps others out: they are answered 401 or 403, pages send them to the sign-in.
    pub permission: Permission,
    /// More is answered 413.
    pub body: BodyLimit,
    /// What bounds what is recorded of those who need no right.
    pub strangers: StrangerLimit,
    /// What the log calls the change that a request makes.
    pub change: Option<&'static str>,
    /// The code that answers.
    pub endpoint: Endpoint,
    /// What a request does, in one sentence.
    pub does: &'static str,
}

impl RouteRow {
    /// Which page answers; `None` of what is no page.
    pub fn page(&self) -> Option<PageCall> {
        match self.endpoint {
            Endpoint::Page(call) => Some(call),
            _ => None,
        }
    }
}

/// Which listener serves a row, where `admin_listen` is configured; else the one listener serves all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteSide {
    /// What networks, advertisers and visitors need.
    Public,
    /// Pages, API and metrics.
    Admin,
    /// The health checks: each listener answers for itself.
    Both,
}

/// What a request has to present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Nothing.
    Open,
    /// The key of the source, in the path.
    SourceKey,
    /// A page of `[tag] origins`, as the browser names it.
    TagOrigin,
    /// `api_key`, in the query or the body: a token with a right of its own kind.
    ApiKey,
    /// `Authorization: Bearer …`, with a token that has the right.
    Token(RequiredRight),
    /// A session of the pages, whatever its rights.
    SignedIn,
    /// A session of the pages that has the right.
    Session(RequiredRight),
}

/// The largest body, once it is inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLimit {
    /// None is read.
    Unread,
    /// `[server] max_body_bytes`.
    Server,
    /// `[body] max_bytes` of the source's template, else as the server's.
    Source,
    /// What a tag sends.
    Tag,
    /// An import of those who may change lists.
    Import,
}

impl BodyLimit {
    /// 100,000 lines of up to 160 bytes.
    pub const IMPORT_BYTES: usize = 16 * 1024 * 1024;
    /// The largest message of the tag.
    pub const TAG_BYTES: usize = 8192;
}

/// What keeps strangers from using up the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrangerLimit {
    /// Nothing is recorded of what they send, and no token of theirs is looked at.
    Nothing,
    /// Ten records a second of 2 KiB for all that is refused, and 20 wrong keys a second of one address.
    Refused,
    /// Ten wrong tokens a minute of one address.
    WrongTokens,
    /// The clicks and bytes under `[links]`.
    Clicks,
    /// `[pixel] max_per_second_per_ip`, and the records of all that is refused.
    Pixels,
    /// `[tag] max_per_second_per_ip`, and the bytes under `[links]`.
    Tag,
}

impl StrangerLimit {
    /// Whether visitors' browsers send what is recorded.
    pub fn is_of_visitors(self) -> bool {
        matches!(self, StrangerLimit::Clicks | StrangerLimit::Pixels | StrangerLimit::Tag)
    }
}

/// What answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "what a request does is said by its row of the table")]
pub enum Endpoint {
    Alive,
    Ready,
    Metrics,
    Postback,
    Link,
    ClickPixel,
    Pixel(PixelRoute),
    TagScript,
    Tag(TagRoute),
    NetworkApi(NetworkCall),
    Api(ApiCall),
    Page(PageCall),
}

/// How a conversion pixel is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "what a request does is said by its row of the table")]
pub enum PixelRoute {
    Image,
    Script,
    /// As other networks write it.
    Short,
}

/// What the tag reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "what a request does is said by its row of the table")]
pub enum TagRoute {
    Click,
    Event,
}

/// A call of `/api/2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "what a request does is said by its row of the table")]
pub enum NetworkCall {
    Record,
    List,
    Update,
    Tracking,
}

/// A call of `/api/v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "what a request does is said by its row of the table")]
pub enum ApiCall {
    RecordClick,
    Clicks,
    Click,
    Conversions,
    Conversion,
    SetStatus,
    Postbacks,
    Postback,
    Reprocess,
    Deliveries,
    RetryDelivery,
    Destinations,
    SendTest,
    Clock,
    ConfirmClock,
    Erasures,
    Erasure,
    ErasureWork,
    Erase,
    Backups,
    BackUp,
    Verifications,
    Verify,
    SuppressionLists,
    SuppressionList,
    Suppress,
    Unsuppress,
    RemoveList,
    ReasonCodes,
    OpenApi,
}

/// A page, or what its form does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "what a request does is said by its row of the table")]
pub enum PageCall {
    Style,
    Home,
    SignIn,
    SignOut,
    Conversions,
    Irreversible,
    Conversion,
    SetStatus,
    Clicks,
    Click,
    Deliveries,
    RetryDelivery,
    Quarantine,
    Reprocess,
    DeadLetters,
    Sources,
    Preview,
    LintUrl,
    Destinations,
    SendTest,
    Clock,
    ConfirmClock,
    Offers,
    Offer,
    Campaigns,
    GenerateLink,
    Tag,
    /// The document of the API.
    Api,
    Erasures,
    Erasure,
    ErasureWork,
    Erase,
    SuppressionLists,
    /// Puts entries on the list that the form names.
    ChooseList,
    SuppressionList,
    Suppress,
    Unsuppress,
    RemoveList,
}

/// The rows of one path.
pub struct PathRows {
    /// In the order of the table; no two take the same method.
    pub rows: Vec<&'static RouteRow>,
    /// The methods of all rows, as the `Allow` header writes them.
    pub allow: String,
}

impl PathRows {
    /// The row that takes a method.
    pub fn row(&self, method: &Method) -> Option<&'static RouteRow> {
        self.rows.iter().copied().find(|row| row.methods.contains(method))
    }

    /// The first row: what all rows of a path have in common is read from it.
    pub fn first(&self) -> Option<&'static RouteRow> {
        self.rows.first().copied()
    }

    fn of(path: &str) -> PathRows {
        let rows: Vec<&'static RouteRow> = table::ROUTES.iter().filter(|row| row.path == path).collect();
        let methods = rows.iter().flat_map(|row| row.methods).map(Method::as_str);
        let allow = methods.collect::<Vec<_>>().join(", ");
        PathRows { rows, allow }
    }
}

/// A path that has rows, and what was read in place of the parts in braces.
pub struct PathMatch<'a> {
    /// At least one.
    pub rows: &'static PathRows,
    params: Params<'static, 'a>,
}

impl PathMatch<'_> {
    /// The first part in braces, decoded; nothing of a path without one.
    pub fn id(&self) -> String {
        let segment = self.params.iter().next().map_or("", |(_, segment)| segment);
        percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
    }
}

/// The rows, by what finds them.
struct RouteTable {
    listed: Router<PathRows>,
    postback: PathRows,
    campaign_link: PathRows,
    direct_link: PathRows,
    script_version: PathRows,
    style: PathRows,
}

static TABLE: LazyLock<RouteTable> = LazyLock::new(|| {
    let paths: BTreeMap<&str, PathRows> =
        table::ROUTES.iter().map(|row| (row.path, PathRows::of(row.path))).collect();
    let mut listed = Router::new();
    for (path, rows) in paths {
        if table::READ_APART.contains(&path) {
            continue;
        }
        if let Err(error) = listed.insert(path, rows) {
            tracing::error!(%error, path, "a row of the table of routes is not served");
        }
    }
    RouteTable {
        listed,
        postback: PathRows::of(table::POSTBACK),
        campaign_link: PathRows::of(table::CAMPAIGN_LINK),
        direct_link: PathRows::of(table::DIRECT_LINK),
        script_version: PathRows::of(table::SCRIPT_VERSION),
        style: PathRows::of(table::STYLE),
    }
});

/// The rows of a path as it was received, but of those that are read apart.
pub fn find(path: &str) -> Option<PathMatch<'_>> {
    let found = TABLE.listed.at(path).ok()?;
    Some(PathMatch { rows: found.value, params: found.params })
}

/// The rows of the postback endpoint.
pub fn postback() -> &'static PathRows {
    &TABLE.postback
}

/// The rows of `/c/{campaign}`.
pub fn campaign_link() -> &'static PathRows {
    &TABLE.campaign_link
}

/// The rows of `/` with both `a` and `c`.
pub fn direct_link() -> &'static PathRows {
    &TABLE.direct_link
}

/// The rows of a version of the tag's script.
pub fn script_version() -> &'static PathRows {
    &TABLE.script_version
}

/// The rows of the pages' stylesheet.
pub fn style() -> &'static PathRows {
    &TABLE.style
}
