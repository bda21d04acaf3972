//! Whether a file is mounted alone, as containers mount secrets: then no other file takes its place.

use std::fs;
use std::path::Path;

/// Where Linux lists the mounts that a process sees.
const MOUNTS: &str = "/proc/self/mountinfo";

/// Whether something is mounted at this path, which has no symbolic link in it; `false` where the system does not say.
pub fn is_mounted(path: &Path) -> bool {
    fs::read(MOUNTS).is_ok_and(|mounts| is_listed(&mounts, path))
}

/// Whether a path is a mount point of this list: the fifth field of a line, see proc_pid_mountinfo(5).
fn is_listed(mounts: &[u8], path: &Path) -> bool {
    let point = |line: &[u8]| line.split(|byte| *byte == b' ').nth(4).map(unescape);
    mounts
        .split(|byte| *byte == b'\n')
        .filter_map(point)
        .any(|point| point == path.as_os_str().as_encoded_bytes())
}

/// Blanks, line ends and backslashes are written as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let (mut text, mut rest) = (Vec::with_capacity(field.len()), field);
    while let [first, after @ ..] = rest {
        (text, rest) = match rest {
            [b'\\', high @ b'0'..=b'3', middle @ b'0'..=b'7', low @ b'0'..=b'7', after @ ..] => {
                text.push((high - b'0') << 6 | (middle - b'0') << 3 | (low - b'0'));
                (text, after)
            }
            _ => {
                text.push(*first);
                (text, after)
            }
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[u8] = b"22 28 0:20 / /proc rw,relatime shared:5 - proc proc rw\n\
        28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
        91 28 254:1 /var/lib/refresh /run/secrets/refresh-token rw shared:1 - ext4 /dev/vda1 rw\n\
        92 28 0:44 / /srv/folder rw - tmpfs tmpfs rw,size=8k\n\
        93 28 254:1 /x /srv/two\\040words\\011and\\134040/tok\xc3\xa9n rw master:3 propagate_from:2 - ext4 /dev/vda1 rw\n\
        94 28 254:1 /y /srv/cut\\04\n\
        95 28 0:50\n";

    fn is_in_list(path: &str) -> bool {
        is_listed(LIST, Path::new(path))
    }

    #[test]
    fn a_file_that_is_mounted_alone_is_in_the_list() {
        assert!(is_in_list("/run/secrets/refresh-token"));
        assert!(is_in_list("/srv/two words\tand\\040/tok\u{e9}n"), "with its escapes");
        assert!(is_in_list("/srv/cut\\04"), "what is no escape is what it says");
    }

    #[test]
    fn a_file_whose_folder_is_mounted_or_that_is_on_the_mounted_side_is_not() {
        for path in [
            "/srv/folder/refresh-token",
            "/run/secrets",
            "/run/secrets/refresh-token-2",
            "/var/lib/refresh",
            "/srv/two\\040words\\011and\\134040/tok\u{e9}n",
            "/srv/cut\u{4}",
            "",
        ] {
            assert!(!is_in_list(path), "{path}");
        }
        assert!(!is_listed(b"", Path::new("/srv")), "nothing is listed");
    }
}
