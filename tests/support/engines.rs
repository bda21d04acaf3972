//! The stores that there are, each new and empty, to be opened again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use postbridge::store::contract::conformance::fixture::engine::EngineUnderTest;
use postbridge::store::contract::monotonic::MonotonicClock;
use postbridge::store::embedded::{AtHand, Embedded, EmbeddedSettings};
use postbridge::store::engine::faulty::{FaultAt, Faulty};
use postbridge::store::engine::memory::Memory;
use postbridge::store::writer::{SLOW, Watch};

use crate::support::lost_answers::LostAnswers;
use crate::support::patient_caller::PatientCaller;

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
    in_memory(EmbeddedSettings::default())
}

/// The embedded store in memory, with a dedup map so narrow that nearly every look-up meets a foreign hash.
pub fn colliding() -> EngineUnderTest {
    in_memory(EmbeddedSettings { dedup_mask: 1, ..EmbeddedSettings::default() })
}

/// The embedded store in memory, of which decisions know nothing until it is fetched, as of one on another machine.
pub fn distant() -> EngineUnderTest {
    in_memory(EmbeddedSettings { at_hand: AtHand::Nothing, ..EmbeddedSettings::default() })
}

fn in_memory(settings: EmbeddedSettings) -> EngineUnderTest {
    let memory = Memory::new();
    EngineUnderTest::new(move |rules, clock| {
        let settings = EmbeddedSettings { clock, ..settings.clone() };
        Arc::new(Embedded::open_with(Arc::new(memory.clone()), rules, settings).unwrap())
    })
}

/// The embedded store in memory, asked for every arrival twice.
pub fn asked_twice() -> EngineUnderTest {
    let memory = Memory::new();
    EngineUnderTest::new(move |rules, clock| {
        let settings = EmbeddedSettings { clock, ..EmbeddedSettings::default() };
        LostAnswers::of(Embedded::open_with(Arc::new(memory.clone()), rules, settings).unwrap())
    })
}

/// The embedded store on sled.
pub fn sled() -> EngineUnderTest {
    let folder = tempfile::tempdir().unwrap();
    EngineUnderTest::new(move |rules, clock| {
        let settings = EmbeddedSettings { clock, ..EmbeddedSettings::default() };
        Arc::new(Embedded::open_sled_with(&folder.path().join("data"), rules, settings).unwrap())
    })
}

/// The embedded store on a disk of which every sync takes so long that what is asked meanwhile is refused for the time
/// being, and a caller that asks again.
pub fn slow() -> EngineUnderTest {
    let (disk, settings) = slow_disk();
    EngineUnderTest::new(move |rules, clock| {
        let settings = EmbeddedSettings { clock, ..settings.clone() };
        PatientCaller::of(Embedded::open_with(Arc::new(disk.clone()), rules, settings).unwrap())
    })
}

/// A disk in memory whose syncs take longer than is waited for, by the clock of these settings.
pub fn slow_disk() -> (Faulty, EmbeddedSettings) {
    let disk = Faulty::over(Memory::new());
    let clock = MovedClock::default();
    let watch =
        Watch { clock: clock.clock(), report: Arc::new(|_| {}), stuck: Arc::new(|error| panic!("{error}")) };
    disk.pause(FaultAt::BeforeSync, move || {
        clock.pass(SLOW + Duration::from_secs(1));
        // Others get a moment in which to ask for something.
        std::thread::park_timeout(Duration::from_millis(1));
    });
    (disk, EmbeddedSettings { watch: Some(watch), ..EmbeddedSettings::default() })
}

/// A clock that is moved on by hand. Clones are the same clock.
#[derive(Clone, Default)]
pub struct MovedClock {
    passed: Arc<AtomicU64>,
}

impl MovedClock {
    pub fn pass(&self, time: Duration) {
        self.passed.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// As the store is given one.
    pub fn clock(&self) -> MonotonicClock {
        let clock = self.clone();
        Arc::new(move || Duration::from_millis(clock.passed.load(Ordering::SeqCst)))
    }
}
