//! The addresses of landing pages: which values they hold, and where they are cut.

use postbridge::domain::landing_url::{cut, places, value_at};

#[test]
fn a_value_is_found_however_it_is_encoded_and_read_back_as_it_was() {
    for (url, value) in [
        ("https://shop.example/lp?x=1&fbclid=IwAR0abc&y=2", "IwAR0abc"),
        ("https://shop.example/lp?utm_campaign=Black%20Friday", "Black Friday"),
        ("https://shop.example/lp?utm_campaign=Black+Friday#top", "Black Friday"),
        ("https://shop.example/lp?city=K%C3%B6ln-West", "Köln-West"),
        ("https://shop.example/lp?x=1?gclid=Cj0KCQ==", "Cj0KCQ=="),
        ("https://shop.example/go/abcdef123/lp", "abcdef123"),
        ("https://shop.example/lp?next=https://a.example/b", "https://a.example/b"),
        ("https://shop.example/lp?s1=100%25%2Boff", "100%+off"),
    ] {
        let found = places(url, ["no such value", value].into_iter());
        assert_eq!(found[0], None, "{url}");
        assert_eq!(value_at(url, found[1].unwrap()).as_deref(), Some(value), "{url}");
    }
}

#[test]
fn half_a_value_a_longer_one_and_one_of_other_bytes_are_not_it() {
    for (url, value) in [
        ("https://shop.example/lp?fbclid=IwAR0abcd", "IwAR0abc"),
        ("https://shop.example/lp?fbclid=IwAR0ab", "IwAR0abc"),
        ("https://shop.example/lp?city=K%F6ln-West", "K\u{fffd}ln-West"),
        ("https://shop.example/lp?s1=a%2520b%2520c", "a b c d"),
        ("https://shop.example/lp?s1=tiny", "tiny"),
    ] {
        assert_eq!(places(url, [value].into_iter()), [None], "{url}");
    }
    let place = places("https://shop.example/lp?fbclid=IwAR0abc", ["IwAR0abc"].into_iter())[0].unwrap();
    assert_eq!(value_at("https://shop.example/lp", place), None, "a shorter URL holds nothing there");
}

#[test]
fn a_url_is_cut_between_parameters_and_between_path_segments() {
    let url = "https://shop.example/lp/one?a=1&bb=22&ccc=333#top=4";
    for (most, kept) in [
        (51, url),
        (50, "https://shop.example/lp/one?a=1&bb=22&ccc=333"),
        (45, "https://shop.example/lp/one?a=1&bb=22&ccc=333"),
        (44, "https://shop.example/lp/one?a=1&bb=22"),
        (37, "https://shop.example/lp/one?a=1&bb=22"),
        (36, "https://shop.example/lp/one?a=1"),
        (30, "https://shop.example/lp/one"),
        (28, "https://shop.example/lp/one"),
        (27, "https://shop.example/lp/one"),
        (26, "https://shop.example/lp/"),
        (22, "https://shop.example/"),
        (15, "https://shop.ex"),
        (0, ""),
    ] {
        assert_eq!(cut(url, most), kept, "{most}");
    }
    assert_eq!(cut("https://shop.example/?q=äää&x=1", 26), "https://shop.example/");
    assert_eq!(cut("https://shop.example/lp?a=1?b=22222", 32), "https://shop.example/lp?a=1");
    assert_eq!(cut("äää", 3), "ä");
}
