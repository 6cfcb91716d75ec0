//! A chunk as it stands in a xorb: its head, then the packed bytes. It is no larger than chunks are, however much a block
//! of LZ4 says that it will unfold to.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use modelhub_fuzz::bounded;

#[path = "../../src/upstream/xet/chunk.rs"]
mod chunk;

const LARGEST: usize = 128 << 10;
/// What `lz4_flex` reserves for a block of its largest kind, packed and unpacked.
const BLOCK: usize = 2 * (8 << 20);

fuzz_target!(|input: &[u8]| {
    let Some((head, packed)) = input.split_first_chunk::<{ chunk::HEAD }>() else { return };
    let Ok(head) = chunk::Head::parse(*head) else { return };
    let packed = Bytes::copy_from_slice(&packed[..packed.len().min(head.packed)]);
    if let Ok(chunk) = bounded(BLOCK + 4 * LARGEST, || head.unpack(packed)) {
        assert!(chunk.len() <= LARGEST);
    }
});
