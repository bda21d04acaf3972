//! The stores that there are, each new and empty, to be opened again and again.

use std::sync::Arc;

use postbridge::store::contract::conformance::fixture::engine::EngineUnderTest;
use postbridge::store::embedded::{Embedded, EmbeddedSettings};
use postbridge::store::engine::memory::Memory;

/// Every function here is a test on every engine; for what uses more than the contract of a store.
macro_rules! on_every_engine {
    ($($name:ident),* $(,)?) => {
        mod in_memory {
            $(#[test] fn $name() { super::$name(&crate::support::engines::memory()); })*
        }
        mod on_sled {
            $(#[test] fn $name() { super::$name(&crate::support::engines::sled()); })*
        }
        mod with_colliding_hashes {
            $(#[test] fn $name() { super::$name(&crate::support::engines::colliding()); })*
        }
    };
}
pub(crate) use on_every_engine;

/// The embedded store in memory.
pub fn memory() -> EngineUnderTest {
    let memory = Memory::new();
    EngineUnderTest::new(move |rules| Arc::new(Embedded::open(Arc::new(memory.clone()), rules).unwrap()))
}

/// The embedded store in memory, with a dedup map so narrow that nearly every look-up meets a foreign hash.
pub fn colliding() -> EngineUnderTest {
    let memory = Memory::new();
    let settings = EmbeddedSettings { dedup_mask: 1, ..EmbeddedSettings::default() };
    EngineUnderTest::new(move |rules| {
        Arc::new(Embedded::open_with(Arc::new(memory.clone()), rules, settings.clone()).unwrap())
    })
}

/// The embedded store on sled.
pub fn sled() -> EngineUnderTest {
    let folder = tempfile::tempdir().unwrap();
    EngineUnderTest::new(move |rules| {
        Arc::new(Embedded::open_sled(&folder.path().join("data"), rules).unwrap())
    })
}
