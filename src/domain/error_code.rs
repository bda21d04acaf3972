//! Why a request is refused, where it is not for what a report says: the codes of errors.

use crate::domain::code::{CodedReason, codes};

codes! {
    /// `error.code` of an answer.
    ErrorCode = "error" {
        BadParameter = "bad_parameter",
            "a part of the path or a parameter of the query cannot be used", "correct it, or leave it out";
        BadBody = "bad_body",
            "the body is not what the call takes, or did not arrive whole",
            "send what `/api/v1/openapi.json` says of the call";
        NotPlainText = "not_plain_text",
            "the content type of the tag's message is not text/plain",
            "send JSON as text/plain, as `navigator.sendBeacon` sends a text";
        Unauthorized = "unauthorized",
            "there is no token, or none that is configured",
            "send `Authorization: Bearer …` with one of the tokens under [api]";
        Forbidden = "forbidden",
            "the token lacks the right",
            "use a token with `rights = [\"read\"]`, or `[\"network\"]` to change something";
        OriginRefused = "origin_refused",
            "the page may not report by the tag",
            "name its origin under `[tag] origins`, and reload";
        TagOff = "tag_off",
            "the tag is off", "name the origins of your pages under `[tag] origins`, and reload";
        NotFound = "not_found",
            "nothing is kept under this id, or nothing answers at this path",
            "look for the id in the list of its kind; the page `/api` has every call";
        UnknownCampaign = "unknown_campaign",
            "no campaign is named that there is", "copy the link from the campaign's page or `postbridge link`";
        MethodNotAllowed = "method_not_allowed",
            "this path does not take that method", "use one that `Allow` names";
        TooMany = "too_many",
            "more was received from this address, or of this kind, than is taken",
            "wait as long as `Retry-After` says";
        NotDurable = "not_durable",
            "the request could not be stored durably and was not taken", "send it again in a few seconds";
        DiskLow = "disk_low",
            "there is too little free disk space, and the request was not taken",
            "send it again later; the operator has to free some space";
        RecordDamaged = "record_damaged",
            "a record that is needed for this is damaged on disk, and nothing was taken",
            "the operator finds its key in the log; the rest of the store goes on. Send it again later";
        StoreUnavailable = "store_unavailable",
            "the store does not answer now, and the request was not taken", "send it again in a few seconds";
        StoreOpening = "store_opening",
            "the relay has just started and its store is being opened; the request was not taken",
            "send it again after `Retry-After`, until it is taken";
        StoreBusy = "store_busy",
            "a backup is being made or the store is being verified, one at a time",
            "wait until it has ended: GET /api/v1/backups and /api/v1/verifications show how far it is";
        ErasureBusy = "erasure_busy",
            "it is being looked for what would be erased, one at a time",
            "wait until it has ended: GET /api/v1/erasures/work shows how far it is";
        BackupDirRefused = "backup_dir_refused",
            "the relay writes no backup there",
            "name a folder below `[store] backup_dir`: \"nightly\", or \"a/b\", without `..`";
        Internal = "internal",
            "the answer could not be made", "see the log";
    }
}

impl CodedReason for ErrorCode {
    type Code = ErrorCode;

    fn code(&self) -> ErrorCode {
        *self
    }
}
