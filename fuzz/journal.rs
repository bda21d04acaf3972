//! What must hold of the bytes of a journal: nothing panics, nothing is made larger than what it was read of justifies, and
//! what is read is what was written.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use crc32c::{crc32c, crc32c_append};
use postbridge::store::engine::journal::changes;
use postbridge::store::engine::journal::frame::{FrameFault, FrameHead, FrameWriter, HEAD, MAGIC};
use postbridge::store::engine::journal::inspect::inspect;
use postbridge::store::engine::journal::manifest::{COPIES, Manifest};
use postbridge::store::engine::journal::replay::replay;
use postbridge::store::engine::journal::segment::{
    FRAMES, Footer, SLOTS, SegmentHeader, Slot, StoreId, parse_name,
};

/// The most that lz4 makes of a byte.
const UNPACKED: usize = 255;

/// The payload of a frame.
pub fn check_changes(data: &[u8]) {
    let mut read = Vec::new();
    let whole = changes::each(data, |(key, value)| read.push((key.to_vec(), value.map(<[u8]>::to_vec))));
    let bytes: usize = read.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum();
    assert!(bytes + 2 * read.len() <= data.len(), "more is shown than there is");
    if whole.is_err() {
        return;
    }
    let mut written = Vec::new();
    read.iter().for_each(|(key, value)| changes::write_one(key, value.as_deref(), &mut written));
    let mut again = Vec::new();
    let visit = |(key, value): (&[u8], Option<&[u8]>)| again.push((key.to_vec(), value.map(<[u8]>::to_vec)));
    changes::each(&written, visit).expect("what was written");
    assert_eq!(again, read);
}

fn read_frame(bytes: &[u8]) -> Result<(FrameHead, Vec<u8>), FrameFault> {
    let ends = || FrameFault::Bad("it ends".to_owned());
    let head_bytes: &[u8; HEAD] = bytes.first_chunk().ok_or_else(ends)?;
    let head = FrameHead::read(head_bytes)?;
    let payload = bytes.get(HEAD..HEAD + head.length).ok_or_else(ends)?;
    head.verify(head_bytes, payload)?;
    let mut plain = Vec::new();
    let unpacked = head.unpack(payload, &mut plain);
    assert!(
        plain.capacity() <= UNPACKED * payload.len() + 64,
        "{} bytes of {}",
        plain.capacity(),
        payload.len()
    );
    unpacked.map(|()| (head, plain))
}

/// A frame as it is on the disk; the same with a checksum that is right; and as what a frame is made of.
pub fn check_frame(data: &[u8]) {
    if let Ok((head, _)) = read_frame(data) {
        assert!(head.bytes() <= data.len() as u64);
    }
    if data.len() >= HEAD {
        let mut forged = data.to_vec();
        forged[..4].copy_from_slice(&MAGIC);
        let length = (data.len() - HEAD) as u32;
        forged[12..16].copy_from_slice(&length.to_le_bytes());
        let checksum = crc32c(&forged[8..]);
        forged[4..8].copy_from_slice(&checksum.to_le_bytes());
        // Right or wrong, it is answered.
        drop(read_frame(&forged));
    }
    let mut writer = FrameWriter::default();
    let length = writer.pack(data, 42, 3).expect("it is short");
    let (bytes, checksum) = writer.chain(length, 7);
    let (head, plain) = read_frame(bytes).expect("what was written");
    assert_eq!((head.lsn, head.commands, head.before, head.checksum), (42, 3, 7, checksum));
    assert_eq!(plain, data);
}

/// A manifest's text, as it is and behind a checksum that is right.
pub fn check_manifest(data: &[u8]) {
    let forged =
        [format!("postbridge journal 1 crc32c {:08x}\n", crc32c(data)).as_bytes(), data, b"\n"].concat();
    for bytes in [data, &forged] {
        let Some(manifest) = Manifest::parse(bytes) else { continue };
        let folder = Scratch::make();
        manifest.write(&folder.0).expect("it is written");
        let (read, bad) = Manifest::read(&folder.0);
        assert_eq!((read.as_ref(), bad), (Some(&manifest), Vec::new()));
        // The segments that it names are not there.
        let inspection = inspect(&folder.0).expect("it is looked through").expect("there is a manifest");
        assert!(inspection.end.is_none());
    }
}

/// What a checked record with this tag is: of these bytes, with a length and a checksum that are right.
fn checked(tag: &[u8; 4], record: &[u8]) -> Vec<u8> {
    let length = (record.len() as u32).to_le_bytes();
    let checksum = crc32c_append(crc32c_append(crc32c(tag), &length), record);
    [&tag[..], &length, &checksum.to_le_bytes(), record].concat()
}

/// A segment's file, named as the first; and its frames behind a first block that is right.
pub fn check_segment(data: &[u8]) {
    // A header, a slot and a footer of these bytes.
    for tag in [b"PbJ1", b"PbS1", b"PbE1"] {
        let record = checked(tag, data);
        let header = SegmentHeader::read(&record);
        if let Some(header) = &header {
            assert_eq!(SegmentHeader::read(&header.write().expect("it is written")).as_ref(), Some(header));
            assert!(
                header.rewrite == 0
                    || parse_name(&header.file_name()) == Some((header.first, header.rewrite))
            );
        }
        if let Some(footer) = Footer::read(&record) {
            assert_eq!(Footer::read(&footer.write().expect("it is written")), Some(footer));
        }
        let mut block = vec![0; FRAMES as usize];
        let room = record.len().min(block.len() - SLOTS[1] as usize);
        block[SLOTS[1] as usize..SLOTS[1] as usize + room].copy_from_slice(&record[..room]);
        if let Some(slot) = Slot::newest(&block) {
            assert_eq!(SegmentHeader::read(&block), None);
            assert!(slot.write().is_ok());
        }
    }
    look_through(data);
    let size = FRAMES + data.len() as u64;
    let header = SegmentHeader { store: StoreId([7; 16]), first: 1, before: 0, rewrite: 0, known: 0, size };
    let mut whole = header.write().expect("it is written");
    whole.resize(FRAMES as usize, 0);
    whole.extend_from_slice(data);
    look_through(&whole);
}

/// Nothing is changed by looking, and what is found is what is read again.
fn look_through(segment: &[u8]) {
    let folder = Scratch::make();
    let name = "00000000000000000001.journal";
    fs::write(folder.0.join(name), segment).expect("it is written");
    let found = inspect(&folder.0).expect("it is looked through").expect("there is a segment");
    assert_eq!(fs::read(folder.0.join(name)).expect("it is there"), segment);
    assert!(COPIES.iter().all(|copy| !folder.0.join(copy).exists()));
    for place in &found.damage {
        assert!(place.at <= FRAMES.max(segment.len() as u64), "{place}");
    }
    let mut bytes = 0;
    let last = replay(&folder.0, &found.manifest.segments, 0, &mut |head, payload| {
        assert!(payload.len() <= UNPACKED * head.bytes() as usize);
        bytes += head.bytes();
        Ok(())
    });
    // A payload that is not one is refused only now.
    if let Ok(last) = last {
        assert!(bytes <= segment.len() as u64);
        if found.damage.is_empty() && found.end.is_some() {
            assert_eq!(last, found.last);
        }
    }
}

/// A folder that is removed again.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Scratch {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("postbridge-fuzz-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder");
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is in the system's folder for such.
        let _ = fs::remove_dir_all(&self.0);
    }
}
