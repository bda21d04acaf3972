//! Every rule that a store must keep, on every store there is.

mod in_memory {
    postbridge::store_conformance!(crate::support::engines::memory());
}

mod on_sled {
    postbridge::store_conformance!(crate::support::engines::sled());
}

mod with_colliding_hashes {
    postbridge::store_conformance!(crate::support::engines::colliding());
}

mod with_nothing_at_hand {
    postbridge::store_conformance!(crate::support::engines::distant());
}

mod with_lost_answers {
    postbridge::store_conformance!(crate::support::engines::asked_twice());
}

mod on_a_slow_disk {
    postbridge::store_conformance!(crate::support::engines::slow());
}
