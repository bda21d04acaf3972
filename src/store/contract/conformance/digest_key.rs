//! What senders presented is kept as digests by a key that stays, and with the bytes that it is of.

use crate::domain::ids::Seq;
use crate::domain::postback::RawRequest;
use crate::domain::presented::{KeptProof, KeptText, PresentedSecret};
use crate::domain::rejection::signature::SignaturePlace;
use crate::store::contract::arrival::Arrival;
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::received::{at, quarantined, wait};

pub fn the_key_of_digests_stays_and_what_is_kept_by_it_is_answered(engine: &EngineUnderTest) {
    let store = engine.open();
    let key = wait(store.digest_key()).unwrap();
    let presented = key.digest(&[b"presented"]);
    let proof = KeptProof {
        presented: Some(PresentedSecret {
            place: SignaturePlace::Parameter("token".to_owned()),
            digest: Some(presented),
        }),
        is_verified: true,
        held: Some(key.digest(&[b"held"])),
        text: KeptText::Masked(key.digest(&[b"line", b"body"])),
        is_sender_hidden: true,
    };
    let plain = quarantined("signed", at(0));
    let raw = RawRequest { proof: Some(Box::new(proof.clone())), ..plain.raw.clone() };
    wait(store.arrive(Arrival { raw, ..plain })).unwrap();
    before_and_after_reopening(engine, store, |store, reopened| {
        let again = wait(store.digest_key()).unwrap().digest(&[b"presented"]);
        assert_eq!(again, presented, "reopened: {reopened}");
        let kept = wait(store.postback(Seq::FIRST)).unwrap().unwrap().raw.unwrap();
        assert_eq!(kept.proof.as_deref(), Some(&proof), "reopened: {reopened}");
    });
}
