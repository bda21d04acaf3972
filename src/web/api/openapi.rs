//! The document of `/api/v1` in OpenAPI 3.1: made of the table of routes, of the views, and of what each call reads.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::view::problem::ErrorView;
use crate::web::api::described;
use crate::web::api::operation::{Content, Operation, ResponseDoc, Schemas};
use crate::web::auth::RequiredRight;
use crate::web::routes::{ApiCall, Endpoint, Permission, RouteRow, table};

/// The whole document.
#[derive(Serialize)]
struct OpenApi {
    openapi: &'static str,
    info: Info,
    servers: [ApiServer; 1],
    security: [BTreeMap<&'static str, [&'static str; 0]>; 1],
    paths: BTreeMap<&'static str, BTreeMap<String, Operation>>,
    components: Components,
}

#[derive(Serialize)]
struct Info {
    title: &'static str,
    version: &'static str,
    description: &'static str,
    license: License,
}

#[derive(Serialize)]
struct License {
    name: &'static str,
    identifier: &'static str,
}

#[derive(Serialize)]
struct ApiServer {
    url: &'static str,
    description: &'static str,
}

#[derive(Serialize)]
struct Components {
    #[serde(rename = "securitySchemes")]
    security_schemes: BTreeMap<&'static str, SecurityScheme>,
    schemas: Map<String, Value>,
}

#[derive(Serialize)]
struct SecurityScheme {
    r#type: &'static str,
    scheme: &'static str,
    description: &'static str,
}

static TEXT: LazyLock<String> = LazyLock::new(|| {
    serde_json::to_string_pretty(&document()).unwrap_or_else(|error| {
        tracing::error!(%error, "the document of the API cannot be written");
        String::new()
    })
});

/// The document as it is served. It says what the program can do, whatever is configured or stored.
pub fn text() -> &'static str {
    &TEXT
}

fn document() -> OpenApi {
    let mut schemas = Schemas::new();
    let mut paths: BTreeMap<&str, BTreeMap<String, Operation>> = BTreeMap::new();
    for row in table::ROUTES {
        let Endpoint::Api(call) = row.endpoint else { continue };
        for method in row.methods {
            let operation = operation(row, call, &mut schemas);
            paths.entry(row.path).or_default().insert(method.as_str().to_ascii_lowercase(), operation);
        }
    }
    let bearer = SecurityScheme {
        r#type: "http",
        scheme: "bearer",
        description: "one of the tokens under [api] in postbridge.toml",
    };
    OpenApi {
        openapi: "3.1.0",
        info: Info {
            title: "Postbridge",
            version: env!("CARGO_PKG_VERSION"),
            description: "What was reported, what became of it, and what to do about it. Times are RFC 3339 in \
                          UTC, money is a decimal string with its currency, lists are newest first.",
            license: License { name: "MIT or Apache-2.0", identifier: "MIT OR Apache-2.0" },
        },
        servers: [ApiServer { url: "/", description: "the listener that serves this document" }],
        security: [BTreeMap::from([("bearer", [])])],
        paths,
        components: Components {
            security_schemes: BTreeMap::from([("bearer", bearer)]),
            schemas: schemas.all(),
        },
    }
}

fn operation(row: &RouteRow, call: ApiCall, schemas: &mut Schemas) -> Operation {
    let described = described::of(call, schemas);
    let is_changing = row.permission == Permission::Token(RequiredRight::Change);
    let json = |schema| BTreeMap::from([("application/json", Content { schema })]);
    let error = schemas.answer::<ErrorView<'static>>();
    // 408, 413, 414 and 431 are answered before the call is known.
    let common = [400, 401, 403, 408, 413, 414, 429, 431, 500, 503];
    let errors = common.iter().chain(described.errors).map(|status| {
        let response = ResponseDoc { description: meaning(*status), content: json(error.clone()) };
        (status.to_string(), response)
    });
    let answered = ResponseDoc { description: "as asked", content: json(described.answer) };
    let in_path = row.path.split(['{', '}']).skip(1).step_by(2).map(|name| described::in_path(call, name));
    let in_query = described::query_names(call).into_iter().map(|name| described::in_query(call, name));
    Operation {
        id: operation_id(call),
        tags: [row.path.split('/').nth(3).unwrap_or_default()],
        summary: row.does.to_owned(),
        description: if is_changing {
            "Needs a token that may change things: `rights = [\"network\"]`."
        } else {
            "Needs a token that may look: `rights = [\"read\"]` or `[\"network\"]`."
        },
        parameters: in_path.chain(in_query).collect(),
        body: described.body,
        responses: errors.chain([(described.status.to_string(), answered)]).collect(),
    }
}

/// `setStatus` of [`ApiCall::SetStatus`].
fn operation_id(call: ApiCall) -> String {
    let name = format!("{call:?}");
    let (first, rest) = name.split_at_checked(1).unwrap_or((&name, ""));
    first.to_ascii_lowercase() + rest
}

/// What a status of a refusal means.
fn meaning(status: u16) -> &'static str {
    match StatusCode::from_u16(status).unwrap_or_default() {
        StatusCode::BAD_REQUEST => "a parameter or the body cannot be used; the message says which",
        StatusCode::UNAUTHORIZED => "there is no token, or a wrong one",
        StatusCode::FORBIDDEN => "the token lacks the right",
        StatusCode::NOT_FOUND => "no such thing is kept",
        StatusCode::CONFLICT => "it cannot be done as things are; the message says why",
        StatusCode::REQUEST_TIMEOUT => "the request did not arrive in time",
        StatusCode::URI_TOO_LONG => "the request line is too long",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the headers are too many or too large",
        StatusCode::PAYLOAD_TOO_LARGE => "the body is larger than this path takes",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "the body's `Content-Encoding` is neither gzip nor deflate",
        StatusCode::TOO_MANY_REQUESTS => {
            "too many wrong tokens from this address; `Retry-After` says for how long"
        }
        StatusCode::INTERNAL_SERVER_ERROR => "a record is damaged on disk",
        StatusCode::SERVICE_UNAVAILABLE => {
            "it could not be made durable, or read; send it again after `Retry-After`"
        }
        _ => "an error",
    }
}
