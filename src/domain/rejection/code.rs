//! The codes of what can be wrong with a report, a postback or a call of this program's own endpoints.

use crate::domain::code::codes;

codes! {
    /// Why a report was quarantined or refused, or why a value of it was left out.
    RejectionCode = "rejection" {
        UnexpandedMacro = "unexpanded_macro",
            "a value is still the macro of the URL",
            "check that the network knows this macro in just this spelling";
        Placeholder = "placeholder",
            "a value is a placeholder that no one replaced",
            "put the network's macro in its place in the postback URL";
        MeansNothing = "means_nothing",
            "a value is a word that means nothing, such as `null`",
            "let the sender leave the parameter out, or fill it";
        DifferentValues = "different_values",
            "a parameter was received twice with different values",
            "leave only one of them in the postback URL and the body";
        UnreadableBytes = "unreadable_bytes",
            "a value holds bytes that are no text in the charset of the request",
            "let the network send UTF-8, percent-encoded in a URL, or name the charset in the `Content-Type` of the body";
        OtherCase = "other_case",
            "the parameter's name is known in another case, and is read exactly",
            "write the name in the postback URL as the template has it";
        MissingValue = "missing_value",
            "a value that the event needs was not received",
            "add the parameter with its macro to the postback URL";
        MissingParameter = "missing_parameter",
            "a parameter that the endpoint needs was not received",
            "send it";
        MissingEvent = "missing_event",
            "nothing in the postback says which event it is",
            "send the event's name, or set `event` under [default] of the source's template";
        MissingCurrency = "missing_currency",
            "an amount was received without a currency",
            "set `currency` at the source, or send it with the postback";
        InvalidCurrency = "invalid_currency",
            "the currency is none that a sale can be in",
            "send a code of three letters such as `USD`";
        NotANumber = "not_a_number",
            "an amount is not a decimal number",
            "let the network send plain digits, such as `7` or `7.00`";
        InvalidValue = "invalid_value",
            "a value is not what its parameter takes",
            "write it as the parameter takes it";
        BelowZero = "below_zero",
            "an amount is below 0 where none may be",
            "send 0 or more";
        TooLong = "too_long",
            "a value is longer than is kept",
            "send a shorter one";
        UnknownStatus = "unknown_status",
            "the source's template does not know the status word",
            "add the word under [status] of the source's template, with what it means";
        InvalidTime = "invalid_time",
            "a time is in no format of the template",
            "let the network send a time in a format that the template reads";
        TimeTooOld = "time_too_old",
            "a time is before 2005",
            "let the network send the time of the event";
        TimeAhead = "time_ahead",
            "a time is more than a day ahead",
            "let the network send the time of the event; check the sender's clock and time zone";
        NotVisitorsAddress = "not_visitors_address",
            "an IP address is none that a visitor can have",
            "let the network send the visitor's address, not a server's";
        NotYesOrNo = "not_yes_or_no",
            "an answer about consent is neither yes nor no",
            "send `yes` or `no`, `1` or `0`, `granted` or `denied`";
        NoClickObject = "no_click_object",
            "the body is not a JSON object with a click",
            "send a JSON object with click_id?, time?, landing_url?, referrer?, ip?, user_agent?, params{}, cookies{}, sub_ids{}, customer{}, consent{}";
        UnknownMember = "unknown_member",
            "a member of the click is not known",
            "take it out, or name it as docs/http-api.md has it";
        InvalidName = "invalid_name",
            "a name is empty or longer than is kept",
            "give the value a short name";
        PriceNotTaken = "price_not_taken",
            "the offer takes no prices from pixels and pages",
            "set `accept_pixel_value = true` in the offer's table where you trust the page";
        CutAtFragment = "cut_at_fragment",
            "the query was cut at `#`, because the sender took the rest for the URL's fragment",
            "let the network fire the URL; to send macros as they are, write `%23` for `#`";
        TooManyParameters = "too_many_parameters",
            "more parameters that are read were received than may be",
            "send only the parameters that the source's postback URL names";
        JsonArray = "json_array",
            "the body is a JSON array, and a postback is one event",
            "send one object for each event: `{\"transaction_id\": …}`";
        NotAnObject = "not_an_object",
            "the body says it is JSON but is no object",
            "send one object: `{\"transaction_id\": …}`, or the content type of a form";
        JsonTooDeep = "json_too_deep",
            "the JSON body is nested too deep",
            "send the parameters in one flat object";
        BrokenJson = "broken_json",
            "the body is broken JSON",
            "fix the body that the network sends; a macro without quotes is the usual cause";
        BrokenMultipart = "broken_multipart",
            "the body is a multipart form, and no part of it can be read",
            "send the parameters in the query, as a form (`application/x-www-form-urlencoded`) or as JSON";
        UnsupportedEncoding = "unsupported_encoding",
            "the body has a content encoding that is not read",
            "send the body as it is, or with `Content-Encoding: gzip` or `deflate`";
        DamagedEncoding = "damaged_encoding",
            "the body is not what its content encoding says",
            "send the whole compressed body, or leave the `Content-Encoding` header out where it is not compressed";
        AmbiguousTransaction = "ambiguous_transaction",
            "it takes back or changes a transaction id that several conversions have",
            "send the sale's click id with it";
        UnknownTransaction = "unknown_transaction",
            "it takes back a transaction that no conversion has (yet)",
            "name the transaction that it takes back; when that sale is received, this postback is reprocessed automatically";
        UnknownClick = "unknown_click",
            "the endpoint takes only conversions of recorded clicks, and this one's is not recorded",
            "pass back the click id that the offer's URL carried when the visitor arrived";
        ClickOfAnotherOffer = "click_of_another_offer",
            "the click that it names is of another offer",
            "report the conversion with the offer id of its own click";
        UnknownConversion = "unknown_conversion",
            "no conversion has this number",
            "send the conversion_id that conversion.json or conversions.json answered";
        UnknownOffer = "unknown_offer",
            "no offer with this id is configured",
            "name the id of an `[[offer]]`";
        EndpointClosed = "endpoint_closed",
            "the offer takes no reports by this route or from this address",
            "open it in the offer's table";
        EventClosed = "event_closed",
            "the offer takes no reports of this event without a key",
            "add the event to `pixel_events` in the offer's table";
        SenderBehindProxy = "sender_behind_proxy",
            "the offer takes reports only from the addresses it names, and a proxy hides whose this one is",
            "declare the proxy in `trusted_proxies` under [server], and have it send `X-Forwarded-For`";
        TooManyFurtherSales = "too_many_further_sales",
            "as many further sales of its click, offer and event wait for a person as may",
            "approve or reject those that wait, then reprocess this one";
        TooManyChanges = "too_many_changes",
            "the conversion has changed as often as one may",
            "look at what the network sends for this transaction: its status or amounts go back and forth";
        InvalidMessage = "invalid_message",
            "what the tag sent cannot be read",
            "send it as tag.js does; templates/README.md lists the members";
        ReadOnlyKey = "read_only_key",
            "the key may look at conversions, not report or change them",
            "use a key with `rights = [\"network\"]`, or the offer's advertiser's";
        MissingKey = "missing_key",
            "no `api_key` was received",
            "send `api_key`; keys are the tokens under [api]";
        NoKeyConfigured = "no_key_configured",
            "no key is configured, so no one may use the network's API",
            "set a token under [api] in postbridge.toml";
        BadKey = "bad_key",
            "the key is not one that opens this endpoint",
            "copy the postback URL from `postbridge url SOURCE`; keys of the network's API are the tokens under [api]";
        UnknownSource = "unknown_source",
            "no source with this id is configured",
            "copy the postback URL from `postbridge url SOURCE`";
        TooFast = "too_fast",
            "more postbacks a second than the source's `max_per_second`",
            "raise it, or send slower";
        BodyTooLarge = "body_too_large",
            "the body is larger than is taken",
            "send a smaller body, or raise `max_bytes` under [body] of the source's template, or the server's `max_body_bytes` where the template has none";
        MalformedRequest = "malformed_request",
            "the request is not well-formed HTTP/1.1",
            "the sender must send a well-formed HTTP/1.1 request; nothing was taken";
        RequestLineTooLong = "request_line_too_long",
            "the request line is too long",
            "send the parameters in the body of a POST";
        HeadersTooLarge = "headers_too_large",
            "the request's headers are too many or too large",
            "send fewer or shorter headers";
        RequestTimeout = "request_timeout",
            "the request did not arrive in time",
            "send the whole request within the server's time limit";
        Overloaded = "overloaded",
            "the server had no room for the request; its sender was asked to send it again",
            "nothing where it is rare, because networks send again what is answered 503; else raise `max_connections` under [server], and look for a sender of many large requests";
        MissingSignature = "missing_signature",
            "the source verifies its postbacks, and this one is not signed",
            "let the network sign what it sends, or set `verify = \"off\"` at the source; then reprocess it";
        UnreadableSignature = "unreadable_signature",
            "the signature is not written as the source's template has it",
            "compare [verify] of the template with what the network sends";
        WrongSignature = "wrong_signature",
            "the signature is not one that the source's secret makes",
            "compare `secret` at the source with the one that the network shows, which is the usual cause; then reprocess it";
        OutsideTimeWindow = "outside_time_window",
            "it was signed too long before or after it was received",
            "check this machine's clock; what someone recorded and sends again later is refused so";
        CannotDecrypt = "cannot_decrypt",
            "the body cannot be decrypted with the source's secret",
            "compare `secret` at the source with the one that the network shows; then reprocess it";
        AddressNotAllowed = "address_not_allowed",
            "it was sent from an address that the source's `allow_ips` does not name",
            "where the address is the network's, add it to `allow_ips` and reprocess it; declare proxies in `trusted_proxies` under [server]";
        CannotVerifyAgain = "cannot_verify_again",
            "not enough of it is kept to verify its signature again",
            "let the network send it again; where you know that it is genuine, set `verify = \"observe\"` at the source, reprocess it, and set it back";
        InternalError = "internal_error",
            "the server failed at the request",
            "see the log and report it; the sender has to send it again";
    }
}
