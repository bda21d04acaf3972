//! Clicks whose commit failed.

use std::sync::Arc;

use postbridge::domain::filter::DuplicateBy;
use postbridge::domain::filter_verdict::{Filter, FilterHit, FilterMode};
use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::clicks::is_hit;
use postbridge::store::contract::conformance::fixture::received::{at, click_id, wait};
use postbridge::store::contract::conformance::fixture::visit::{
    capped, duplicates, listed, receive, rules, screened, visit,
};
use postbridge::store::contract::lookup::ClickFilter;
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::faulty::{FaultAt, Faulty, ProcessEnd};
use postbridge::store::engine::memory::Memory;

#[test]
fn a_commit_that_fails_counts_no_click_and_lists_none() {
    for step in [FaultAt::BeforeWrite, FaultAt::BeforeSync] {
        let rules = rules(&[capped(2)], duplicates(FilterMode::Observe, DuplicateBy::Ip));
        let disk = Faulty::over(Memory::new());
        let store = Embedded::open(Arc::new(disk.clone()), Arc::clone(&rules)).unwrap();
        receive(&store, visit("kept", at(0)));
        disk.fail(step, 0, "no space left on device");
        assert!(wait(store.record_click(screened(visit("lost", at(1))))).is_err());
        drop(store);
        let store = Embedded::open(Arc::new(disk.after(ProcessEnd::PowerCut).unwrap()), rules).unwrap();
        assert_eq!(listed(&store, &ClickFilter::default(), 9), ["kept"]);
        let next = receive(&store, visit("next", at(2)));
        assert!(!is_hit(&next, Filter::Cap), "one counted before it");
        let hit = next.click.context.verdicts[0].hit.as_ref();
        assert!(matches!(hit, Some(FilterHit::Duplicate { earlier, .. }) if *earlier == click_id("kept")));
        assert!(is_hit(&receive(&store, visit("last", at(3))), Filter::Cap));
    }
}
