//! The table of routes: everything that is served, row by row.

use http::Method;

use crate::web::auth::RequiredRight;
use crate::web::routes::{
    ApiCall, BodyLimit, Endpoint, NetworkCall, PageCall, Permission, PixelRoute, RouteRow, RouteSide,
    StrangerLimit, TagRoute,
};

const GET: &[Method] = &[Method::GET];
const LOOK: &[Method] = &[Method::GET, Method::HEAD];
const POST: &[Method] = &[Method::POST];
const DELETE: &[Method] = &[Method::DELETE];

/// Keys and sources are read with doubled, encoded and trailing slashes.
pub const POSTBACK: &str = "/{key}/collect/{source}";
/// Whatever is behind `/c/` names the campaign.
pub const CAMPAIGN_LINK: &str = "/c/{campaign}";
/// The query makes it a link.
pub const DIRECT_LINK: &str = "/?a={affiliate}&c={creative}";
/// Its hash is one of sixteen digits.
pub const SCRIPT_VERSION: &str = "/tag.{hash}.js";
/// Its hash is that of today's stylesheet.
pub const STYLE: &str = "/pages-{hash}.css";

/// The paths that have a reader of their own: it knows more than a pattern can say.
pub const READ_APART: [&str; 5] = [POSTBACK, CAMPAIGN_LINK, DIRECT_LINK, SCRIPT_VERSION, STYLE];

const fn row(
    path: &'static str,
    methods: &'static [Method],
    endpoint: Endpoint,
    does: &'static str,
) -> RouteRow {
    RouteRow {
        path,
        methods,
        side: RouteSide::Public,
        permission: Permission::Open,
        body: BodyLimit::Unread,
        strangers: StrangerLimit::Nothing,
        change: None,
        endpoint,
        does,
    }
}

/// A call of the API; what looks is a GET.
const fn api(path: &'static str, call: ApiCall, does: &'static str) -> RouteRow {
    let route = row(path, GET, Endpoint::Api(call), does);
    let permission = Permission::Token(RequiredRight::Look);
    RouteRow { side: RouteSide::Admin, permission, strangers: StrangerLimit::WrongTokens, ..route }
}

/// A call of the API that changes something.
const fn api_change(
    path: &'static str,
    methods: &'static [Method],
    call: ApiCall,
    does: &'static str,
) -> RouteRow {
    let permission = Permission::Token(RequiredRight::Change);
    RouteRow { methods, permission, body: BodyLimit::Server, ..api(path, call, does) }
}

const fn network_api(
    path: &'static str,
    methods: &'static [Method],
    call: NetworkCall,
    does: &'static str,
) -> RouteRow {
    let route = row(path, methods, Endpoint::NetworkApi(call), does);
    RouteRow { permission: Permission::ApiKey, strangers: StrangerLimit::WrongTokens, ..route }
}

const fn page(path: &'static str, call: PageCall, does: &'static str) -> RouteRow {
    let route = row(path, LOOK, Endpoint::Page(call), does);
    RouteRow { side: RouteSide::Admin, permission: Permission::Session(RequiredRight::Look), ..route }
}

/// What a page's form sends.
const fn form(path: &'static str, call: PageCall, does: &'static str) -> RouteRow {
    let permission = Permission::Session(RequiredRight::Change);
    RouteRow { methods: POST, permission, body: BodyLimit::Server, ..page(path, call, does) }
}

const fn pixel(path: &'static str, call: PixelRoute, does: &'static str) -> RouteRow {
    RouteRow { strangers: StrangerLimit::Pixels, ..row(path, GET, Endpoint::Pixel(call), does) }
}

const fn tag(path: &'static str, call: TagRoute, does: &'static str) -> RouteRow {
    let route = row(path, POST, Endpoint::Tag(call), does);
    RouteRow {
        permission: Permission::TagOrigin,
        body: BodyLimit::Tag,
        strangers: StrangerLimit::Tag,
        ..route
    }
}

/// Everything that is served. `Allow` names the methods in the order of the rows.
pub static ROUTES: &[RouteRow] = &[
    RouteRow {
        permission: Permission::SourceKey,
        body: BodyLimit::Source,
        strangers: StrangerLimit::Refused,
        ..row(POSTBACK, &[Method::GET, Method::POST], Endpoint::Postback, "takes a postback in")
    },
    RouteRow {
        strangers: StrangerLimit::Clicks,
        ..row(CAMPAIGN_LINK, LOOK, Endpoint::Link, "records a click and sends the visitor on to the offer")
    },
    RouteRow {
        strangers: StrangerLimit::Clicks,
        ..row(DIRECT_LINK, LOOK, Endpoint::Link, "the same, by affiliate and creative")
    },
    RouteRow {
        strangers: StrangerLimit::Clicks,
        ..row("/click.gif", GET, Endpoint::ClickPixel, "records a click of a page without JavaScript")
    },
    pixel("/pixel.gif", PixelRoute::Image, "reports a conversion; answers an image"),
    pixel("/pixel.js", PixelRoute::Script, "reports a conversion; answers a script"),
    pixel("/p.ashx", PixelRoute::Short, "reports a conversion, its parameters named as in other networks"),
    row("/tag.js", LOOK, Endpoint::TagScript, "the tag's script, asked again every hour"),
    row(SCRIPT_VERSION, LOOK, Endpoint::TagScript, "one version of the script, which never changes"),
    tag("/t/click", TagRoute::Click, "takes a click of the tag in"),
    tag("/t/event", TagRoute::Event, "takes an event or an answer about consent of the tag in"),
    network_api("/api/2/conversion.json", GET, NetworkCall::Record, "reports a conversion"),
    network_api("/api/2/conversions.json", GET, NetworkCall::List, "the history of conversions"),
    network_api("/api/2/tracking.json", GET, NetworkCall::Tracking, "an offer's addresses and pixels"),
    RouteRow {
        body: BodyLimit::Server,
        change: Some("conversion: status"),
        ..network_api(
            "/api/2/update_conversion.json",
            POST,
            NetworkCall::Update,
            "changes a conversion's status",
        )
    },
    api("/api/v1/clicks", ApiCall::Clicks, "lists clicks with every filter's verdict"),
    api_change("/api/v1/clicks", POST, ApiCall::RecordClick, "records a click of one of your servers"),
    api("/api/v1/clicks/{id}", ApiCall::Click, "one click with its conversions"),
    api("/api/v1/conversions", ApiCall::Conversions, "lists conversions with their deliveries"),
    api("/api/v1/conversions/{id}", ApiCall::Conversion, "one conversion with all that belongs to it"),
    RouteRow {
        change: Some("conversion: status"),
        ..api_change(
            "/api/v1/conversions/{id}/status",
            POST,
            ApiCall::SetStatus,
            "gives a conversion another status; answers the conversion as it is then",
        )
    },
    api("/api/v1/postbacks", ApiCall::Postbacks, "lists the raw log"),
    api("/api/v1/postbacks/{id}", ApiCall::Postback, "one record of the raw log"),
    RouteRow {
        body: BodyLimit::Unread,
        change: Some("postback: reprocessed"),
        ..api_change(
            "/api/v1/postbacks/{id}/retry",
            POST,
            ApiCall::Reprocess,
            "reprocesses a quarantined or ignored postback with the current template",
        )
    },
    api("/api/v1/deliveries", ApiCall::Deliveries, "lists deliveries with their last attempt"),
    RouteRow {
        body: BodyLimit::Unread,
        change: Some("delivery: sent again"),
        ..api_change(
            "/api/v1/deliveries/{id}/retry",
            POST,
            ApiCall::RetryDelivery,
            "makes a delivery due now that gave up, was skipped or waits",
        )
    },
    api(
        "/api/v1/destinations",
        ApiCall::Destinations,
        "every destination and outgoing postback: how it does, and how much waits for it",
    ),
    RouteRow {
        body: BodyLimit::Unread,
        change: Some("destination: test event"),
        ..api_change(
            "/api/v1/destinations/{id}/test",
            POST,
            ApiCall::SendTest,
            "sends one test event by the platform's own test mode, of a made-up sale; nothing of it is kept",
        )
    },
    api("/api/v1/clock", ApiCall::Clock, "the time, and whether retention goes by it"),
    RouteRow {
        body: BodyLimit::Unread,
        ..api_change("/api/v1/clock/confirm", POST, ApiCall::ConfirmClock, "says that the clock is right")
    },
    api("/api/v1/erasures", ApiCall::Erasures, "the erasures of persons' data"),
    api_change(
        "/api/v1/erasures",
        POST,
        ApiCall::Erase,
        "begins to look what would be erased of a person's data, and with `apply` erases it; answers how far it is",
    ),
    api(
        "/api/v1/erasures/work",
        ApiCall::ErasureWork,
        "the latest looking for what would be erased: how far it is, and what it found",
    ),
    api(
        "/api/v1/erasures/{id}",
        ApiCall::Erasure,
        "one erasure: how far it is, and who had been sent the data",
    ),
    api("/api/v1/backups", ApiCall::Backups, "the latest backups, and one that is being made"),
    RouteRow {
        change: Some("backup: begun"),
        ..api_change("/api/v1/backups", POST, ApiCall::BackUp, "begins a backup; answers how far it is")
    },
    api("/api/v1/verifications", ApiCall::Verifications, "the latest verification of the store"),
    RouteRow {
        body: BodyLimit::Unread,
        ..api_change(
            "/api/v1/verifications",
            POST,
            ApiCall::Verify,
            "begins to look through the whole store; answers how far it is",
        )
    },
    api("/api/v1/suppression", ApiCall::SuppressionLists, "the suppression lists"),
    api("/api/v1/suppression/{list}", ApiCall::SuppressionList, "what is on a suppression list"),
    RouteRow {
        body: BodyLimit::Import,
        change: Some("suppression list: entries"),
        ..api_change(
            "/api/v1/suppression/{list}",
            POST,
            ApiCall::Suppress,
            "puts entries on a suppression list; a verdict for every line",
        )
    },
    RouteRow {
        body: BodyLimit::Unread,
        change: Some("suppression list: removed"),
        ..api_change(
            "/api/v1/suppression/{list}",
            DELETE,
            ApiCall::RemoveList,
            "removes a suppression list with its entries",
        )
    },
    RouteRow {
        body: BodyLimit::Import,
        change: Some("suppression list: entries"),
        ..api_change(
            "/api/v1/suppression/{list}/remove",
            POST,
            ApiCall::Unsuppress,
            "takes entries off a suppression list; a verdict for every line",
        )
    },
    api("/api/v1/reason-codes", ApiCall::ReasonCodes, "every reason code, with its family, meaning and fix"),
    api("/api/v1/openapi.json", ApiCall::OpenApi, "this API's document in OpenAPI 3.1"),
    RouteRow { side: RouteSide::Both, ..row("/livez", LOOK, Endpoint::Alive, "whether the loops go on") },
    RouteRow {
        side: RouteSide::Both,
        ..row("/readyz", LOOK, Endpoint::Ready, "whether a write can be made durable now")
    },
    RouteRow {
        side: RouteSide::Admin,
        permission: Permission::Token(RequiredRight::Look),
        strangers: StrangerLimit::WrongTokens,
        ..row("/metrics", GET, Endpoint::Metrics, "all numbers as Prometheus text")
    },
    RouteRow { permission: Permission::Open, ..page("/", PageCall::Home, "leads to the conversions") },
    RouteRow { permission: Permission::Open, ..page(STYLE, PageCall::Style, "the stylesheet of the pages") },
    RouteRow {
        permission: Permission::Open,
        ..page("/sign-in", PageCall::SignIn, "the form for signing in, and sign-in links")
    },
    RouteRow {
        permission: Permission::Open,
        strangers: StrangerLimit::WrongTokens,
        ..form("/sign-in", PageCall::SignIn, "signs in by a token")
    },
    RouteRow { permission: Permission::SignedIn, ..form("/sign-out", PageCall::SignOut, "signs out") },
    page("/conversions", PageCall::Conversions, "the conversions"),
    page("/conversions/{id}", PageCall::Conversion, "one conversion with all that belongs to it"),
    RouteRow {
        change: Some("conversion: status"),
        ..form("/conversions/{id}/status", PageCall::SetStatus, "gives a conversion another status")
    },
    page("/clicks", PageCall::Clicks, "the clicks"),
    page("/clicks/{id}", PageCall::Click, "one click"),
    page("/deliveries", PageCall::Deliveries, "the deliveries"),
    RouteRow {
        change: Some("delivery: sent again"),
        ..form("/deliveries/{id}/retry", PageCall::RetryDelivery, "makes a delivery due now")
    },
    page("/dead-letters", PageCall::DeadLetters, "the deliveries that gave up"),
    page(
        "/irreversible",
        PageCall::Irreversible,
        "the conversions that a destination counts differently and cannot be informed of",
    ),
    page("/quarantine", PageCall::Quarantine, "the postbacks that wait for a fix"),
    RouteRow {
        change: Some("postback: reprocessed"),
        ..form(
            "/postbacks/{id}/reprocess",
            PageCall::Reprocess,
            "reprocesses a quarantined or ignored postback",
        )
    },
    page("/sources", PageCall::Sources, "the sources, and a preview of a pasted postback"),
    RouteRow {
        permission: Permission::Session(RequiredRight::Look),
        ..form("/sources", PageCall::Preview, "previews a pasted postback; sends nothing")
    },
    RouteRow {
        permission: Permission::Session(RequiredRight::Look),
        ..form(
            "/sources/{id}/url",
            PageCall::LintUrl,
            "looks over a URL pasted at the network; keeps nothing",
        )
    },
    page("/destinations", PageCall::Destinations, "how each destination does"),
    RouteRow {
        change: Some("destination: test event"),
        ..form("/destinations/{id}/test", PageCall::SendTest, "sends one test event, of a made-up sale")
    },
    page("/clock", PageCall::Clock, "whether the clock is believed"),
    form("/clock", PageCall::ConfirmClock, "says that the clock is right"),
    page("/offers", PageCall::Offers, "the offers"),
    page("/offers/{id}", PageCall::Offer, "one offer"),
    page("/campaigns", PageCall::Campaigns, "the campaigns"),
    page("/generate-link", PageCall::GenerateLink, "makes a tracking link"),
    page("/tag", PageCall::Tag, "the tag's snippet"),
    page("/api", PageCall::Api, "the document of the API, readable"),
    page("/erasures", PageCall::Erasures, "the erasures of persons' data"),
    form("/erasures", PageCall::Erase, "shows what would be erased of a person's data, and erases it"),
    page("/erasures/work", PageCall::ErasureWork, "what would be erased, once it is found"),
    page("/erasures/{id}", PageCall::Erasure, "one erasure: how far it is, and who had been sent the data"),
    page("/suppression", PageCall::SuppressionLists, "the suppression lists"),
    RouteRow {
        body: BodyLimit::Import,
        change: Some("suppression list: entries"),
        ..form("/suppression", PageCall::ChooseList, "puts entries on the list that the form names")
    },
    page("/suppression/{list}", PageCall::SuppressionList, "what is on a suppression list"),
    RouteRow {
        body: BodyLimit::Import,
        change: Some("suppression list: entries"),
        ..form("/suppression/{list}/add", PageCall::Suppress, "puts entries on a suppression list")
    },
    RouteRow {
        body: BodyLimit::Import,
        change: Some("suppression list: entries"),
        ..form("/suppression/{list}/take-off", PageCall::Unsuppress, "takes entries off a suppression list")
    },
    RouteRow {
        change: Some("suppression list: removed"),
        ..form("/suppression/{list}/remove", PageCall::RemoveList, "removes a suppression list")
    },
];
