//! Which secrets can be guessed.

use postbridge::domain::secret_strength::{Weakness, weakness};

#[test]
fn what_people_take_for_a_secret_and_others_guess_is_weak() {
    for (secret, expected) in [
        ("password", Weakness::Short(8)),
        ("", Weakness::Short(0)),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaa", Weakness::FewDifferent(1)),
        ("abababababababababababab", Weakness::FewDifferent(2)),
        ("00000000-0000-0000-0000-000000000000", Weakness::FewDifferent(2)),
        ("12345678901234567890", Weakness::Repeats),
        ("0123456789abcdef0123456789abcdef", Weakness::Repeats),
        ("passwordpasswordpassword", Weakness::FewDifferent(7)),
        ("password123password123", Weakness::Repeats),
        ("PassWord123pASSwORD123", Weakness::Repeats),
        ("password-password-password-1", Weakness::Repeats),
        ("supersecret-supersecret", Weakness::Repeats),
        ("changeme-changeme-changeme", Weakness::Repeats),
        ("mysecrettokenmysecrettoken", Weakness::Repeats),
        ("abcdefghijklmnopqrstuvwxyz", Weakness::Sequence),
        ("zyxwvutsrqponmlkjihgfedcba", Weakness::Sequence),
        ("qwertyuiopasdfghjklzxcvbnm", Weakness::Sequence),
        ("qwertyuiop1234567890", Weakness::Sequence),
        ("aabbccddeeffgghhiijjkk", Weakness::Sequence),
        ("112233445566778899001122", Weakness::Sequence),
    ] {
        assert_eq!(weakness(secret), Some(expected), "{secret}");
    }
}

#[test]
fn what_a_program_makes_and_words_in_a_row_are_varied() {
    for secret in [
        "3f9c1e0b7a52d846c0f1",
        "9b2d7c41-6f0e-4a83-b5d9-1c7e20f4a6b8",
        "01JDXK3M9QW7V2ZT5RPCB8NHYA",
        "Zm9vYmFyLXNlY3JldC10b2tlbg==",
        "83920174650918372645",
        "correct-horse-battery-staple",
        "test-token-0123456789",
        "token-0123456789abcdef",
    ] {
        assert_eq!(weakness(secret), None, "{secret}");
    }
}
